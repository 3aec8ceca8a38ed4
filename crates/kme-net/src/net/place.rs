//! Where tensors live and in which precision.

use burn::tensor::{DType, Device, Tensor, TensorData};
use kme::{Error, Result};
use std::fmt;

/// A device and the precision of the tensors made on it.
///
/// Everything above this type is the same code on every device. Training and steering run in single precision; double
/// precision serves the tests, which compare against finite differences.
#[derive(Clone, Debug)]
pub struct Place {
    device: Device,
    dtype: DType,
    /// As [`Place::parse`] reads it.
    text: String,
}

impl fmt::Display for Place {
    /// As [`Place::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Place {
    /// The processor, in single precision.
    pub fn cpu() -> Self {
        Self { device: Device::flex(), dtype: DType::F32, text: "cpu".into() }
    }

    /// The processor, in double precision.
    pub fn cpu_f64() -> Self {
        Self { device: Device::flex(), dtype: DType::F64, text: "cpu".into() }
    }

    /// The place that `text` names: `cpu`, `gpu`, `gpu:1`.
    ///
    /// # Errors
    /// [`Error::Parameter`] when the text is none of these, or names a graphics card and this program was built without the cargo feature
    /// `vulkan` or `cuda`; when the environment variable `KME_CONV_ISA` names vector instructions that this processor lacks.
    pub fn parse(text: &str) -> Result<Self> {
        kme_conv::Isa::requested()
            .map_err(|(value, allowed)| Error::parameter(kme_conv::VARIABLE, value, format!("one of {allowed}")))?;
        let unknown = || Error::parameter("device", text, "cpu, gpu, gpu:0, gpu:1, ...");
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::cpu()),
            None if text == "gpu" => Self::gpu(0).map(|place| Self { text: text.into(), ..place }),
            Some(("gpu", index)) => Self::gpu(index.parse().map_err(|_| unknown())?),
            _ => Err(unknown()),
        }
    }

    #[cfg(any(feature = "vulkan", feature = "cuda"))]
    fn gpu(index: usize) -> Result<Self> {
        use burn::tensor::DeviceType;
        #[cfg(feature = "cuda")]
        let (driver, devices) = ("CUDA", Device::enumerate(DeviceType::Cuda));
        #[cfg(not(feature = "cuda"))]
        let (driver, devices) = ("Vulkan", Device::enumerate(DeviceType::Vulkan));
        let mut cards: Vec<_> = devices.into_iter().collect();
        // Vulkan in software is not a graphics card.
        #[cfg(not(feature = "cuda"))]
        cards.retain(|card| *card != Device::vulkan(burn::tensor::DeviceKind::Cpu));
        if index < cards.len() {
            let text = format!("gpu:{index}");
            return Ok(Self { device: cards.swap_remove(index), dtype: DType::F32, text });
        }
        let allowed = match cards.len() {
            0 => format!("cpu, since no graphics card with a {driver} driver was found"),
            1 => "cpu or gpu".into(),
            count => format!("cpu, gpu, or gpu:0 to gpu:{}", count - 1),
        };
        Err(Error::parameter("device", format!("gpu:{index}"), allowed))
    }

    #[cfg(not(any(feature = "vulkan", feature = "cuda")))]
    fn gpu(index: usize) -> Result<Self> {
        let allowed = "cpu, since this program was built without a graphics backend. Build it with the cargo feature vulkan or cuda";
        Err(Error::parameter("device", format!("gpu:{index}"), allowed))
    }

    /// A constant tensor with these numbers, row after row.
    pub fn tensor<const D: usize>(&self, numbers: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(numbers, shape), (&self.device, self.dtype))
    }

    /// A constant tensor with these double precision numbers, rounded to the place's precision.
    pub fn tensor_f64<const D: usize>(&self, numbers: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(numbers, shape), (&self.device, self.dtype))
    }

    /// A tensor of zeros.
    pub fn zeros<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        Tensor::zeros(shape, (&self.device, self.dtype))
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// The numbers of a tensor in double precision, row after row. Waits for the device.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The numbers of a tensor in single precision, row after row. Waits for the device.
pub fn numbers_f32<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The single number of a tensor with one element. Waits for the device.
pub fn scalar(tensor: Tensor<1>) -> f64 {
    numbers(tensor)[0]
}
