//! Pictures brought to a network's channels and size, as an expression that can be differentiated.

use crate::net::layer::resampled;
use burn::tensor::Tensor;
use kme_conv::{Bounds, clamp};
use kme_image::Resize;

/// Pictures (n, c, h, w) as (n, `channels`, h′, w′): what [`Images::to_colour`](kme_image::Images::to_colour) and
/// [`Resize::bring`] do to decoded ones, with the same numbers up to the rounding of single precision.
///
/// Every step is linear but two: the clamp to [0, 1], whose derivative is 0 outside, and the rounding to whole 255ths of a
/// protocol that asks for it. Rounding has no derivative that would help; a gradient goes through it as if it were not
/// there (Bengio, Léonard, Courville 2013, "straight-through"), while the value is the rounded one.
pub(super) fn fitted(pictures: Tensor<4>, channels: usize, resize: &Resize) -> Tensor<4> {
    let [_, c, h, w] = pictures.dims();
    let (to_h, to_w) = (resize.height(), resize.width());
    let eight_bit = resize.protocol().eight_bit;
    if c == channels && [h, w] == [to_h, to_w] && !eight_bit {
        return pictures;
    }
    let pictures = in_range(coloured(in_range(pictures), channels));
    let pictures = match eight_bit {
        true => {
            let levels = (pictures.clone().detach() * 255.0).round() * (1.0 / 255.0);
            pictures.clone() + (levels - pictures.detach())
        }
        false => pictures,
    };
    if [h, w] == [to_h, to_w] {
        return pictures;
    }
    in_range(resampled(pictures, resize.axes(h, w)))
}

fn in_range(pictures: Tensor<4>) -> Tensor<4> {
    clamp(pictures, Bounds { least: 0.0, most: 1.0 })
}

/// One channel repeated, or the Rec. 601 luma of three.
fn coloured(pictures: Tensor<4>, channels: usize) -> Tensor<4> {
    let [_, c, _, _] = pictures.dims();
    match (c, channels) {
        (1, 3) => Tensor::cat(vec![pictures; 3], 1),
        (3, 1) => {
            let channel = |i: usize| pictures.clone().narrow(1, i, 1);
            channel(0) * 0.299 + channel(1) * 0.587 + channel(2) * 0.114
        }
        _ => pictures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Place;
    use crate::net::place::numbers;
    use kme_image::{Colour, Images};

    const PROTOCOLS: [&str; 11] = [
        "pillow-bicubic",
        "pillow-bicubic-crop",
        "pillow-bilinear",
        "pillow-bilinear-crop",
        "pillow-box",
        "pillow-lanczos-crop",
        "pillow-bicubic-pad",
        "pillow-bilinear-pad:0.25",
        "tensorflow1-bilinear",
        "torch-bilinear",
        "uint8+pillow-bicubic",
    ];

    /// Smaller, larger, one side each, the same, from one pixel, to one.
    const SIZES: [[usize; 4]; 8] = [
        [31, 47, 16, 16],
        [28, 28, 64, 64],
        [9, 40, 13, 7],
        [64, 64, 3, 5],
        [12, 10, 12, 10],
        [1, 7, 4, 4],
        [16, 16, 1, 1],
        [13, 5, 13, 9],
    ];

    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut lcg = kme_testing::Lcg::of_seed(seed);
        (0..count).map(|_| lcg.uniform(24) as f32).collect()
    }

    fn resize(protocol: &str, h: usize, w: usize) -> Resize {
        Resize::new(h, w).unwrap().with(protocol.parse().unwrap())
    }

    /// What is optimised is what is judged: a file's way and a tensor's way give the same pixels.
    #[test]
    fn tensors_become_what_pictures_of_files_become() {
        for place in [Place::cpu(), Place::cpu_f64()] {
            for protocol in PROTOCOLS {
                for (seed, [h, w, to_h, to_w]) in SIZES.into_iter().enumerate() {
                    for (from, to) in [(1, 1), (3, 3), (1, 3), (3, 1)] {
                        let data = noise(2 * from * h * w, seed as u64);
                        let images = Images::new(2, from, h, w, data.clone()).unwrap();
                        let resize = resize(protocol, to_h, to_w);
                        let colour = Colour::from_channels(to).unwrap();
                        let expected = resize.bring(images.to_colour(colour)).unwrap();
                        let found = fitted(place.tensor(data, [2, from, h, w]), to, &resize);
                        assert_eq!(found.dims(), [2, to, to_h, to_w]);
                        // Luma that lies between two levels may be rounded to either.
                        let slack = if protocol.starts_with("uint8") && from > to { 1.01 / 255.0 } else { 1e-5 };
                        let far = |(a, b): (f64, &f32)| (a - f64::from(*b)).abs();
                        let worst = numbers(found).into_iter().zip(expected.data()).map(far).fold(0.0, f64::max);
                        assert!(worst < slack, "{protocol}, {h}x{w} to {to_h}x{to_w}, {from} to {to}: {worst:e}");
                    }
                }
            }
        }
    }

    /// The numbers r by which those that come out are multiplied.
    fn factors(count: usize) -> Vec<f64> {
        noise(count, 99).into_iter().map(|r| f64::from(r) - 0.4).collect()
    }

    /// Σ r·fitted(x) and its gradient in x.
    fn sum_and_gradient(x: &[f64], shape: [usize; 4], to: usize, resize: &Resize) -> (f64, Vec<f64>) {
        let place = Place::cpu_f64();
        let leaf = place.tensor_f64(x.to_vec(), shape).autodiff().require_grad();
        let small = fitted(leaf.clone(), to, resize);
        let r = factors(small.dims().iter().product());
        let sum = (small.clone() * place.tensor_f64(r, small.dims())).sum();
        let value = numbers(sum.clone().inner())[0];
        (value, numbers(leaf.grad(&sum.backward()).unwrap()))
    }

    #[test]
    fn gradients_are_those_of_central_differences() {
        for protocol in PROTOCOLS.into_iter().filter(|name| !name.starts_with("uint8")) {
            for (seed, [h, w, to_h, to_w]) in SIZES.into_iter().enumerate() {
                for (from, to) in [(3, 3), (1, 3), (3, 1)] {
                    let shape = [2, from, h, w];
                    let resize = resize(protocol, to_h, to_w);
                    let x: Vec<f64> = noise(2 * from * h * w, seed as u64).into_iter().map(f64::from).collect();
                    let (_, gradient) = sum_and_gradient(&x, shape, to, &resize);
                    let step = 1e-6;
                    let place = Place::cpu_f64();
                    let r = factors(2 * to * to_h * to_w);
                    for i in (0..x.len()).step_by(x.len() / 7 + 1) {
                        let at = |by: f64| {
                            let mut moved = x.clone();
                            moved[i] += by;
                            numbers(fitted(place.tensor_f64(moved, shape), to, &resize))
                        };
                        // Of each number that comes out, then summed: nearly all do not move, and the rounding of a sum of them
                        // all, 10⁻¹³ of some thousand, would be 10⁻⁷ of the difference. What moves is linear but for its bounds,
                        // and some thousand numbers, each rounded by 10⁻¹⁶, leave 10⁻⁹.
                        let moved = at(step).into_iter().zip(at(-step)).map(|(after, before)| after - before);
                        let difference = moved.zip(&r).map(|(by, r)| by * r).sum::<f64>() / (2.0 * step);
                        let error = (difference - gradient[i]).abs();
                        assert!(error < 1e-8, "{protocol}, {shape:?} to {to_h}x{to_w}: {error:e} of {difference:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_gradient_goes_through_rounding_as_if_it_were_not_there() {
        let shape = [2, 1, 20, 17];
        // Nowhere rounded to a bound, at which the clamp has a kink.
        let x: Vec<f64> = noise(2 * 20 * 17, 5).into_iter().map(|x| 0.01 + 0.98 * f64::from(x)).collect();
        let rounded: Vec<f64> = x.iter().map(|x| (x * 255.0).round() / 255.0).collect();
        let (value, gradient) = sum_and_gradient(&x, shape, 3, &resize("uint8+pillow-bicubic", 9, 9));
        let (expected, smooth) = sum_and_gradient(&rounded, shape, 3, &resize("pillow-bicubic", 9, 9));
        assert!((value - expected).abs() < 1e-12);
        assert!(gradient.iter().zip(&smooth).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(gradient.iter().any(|g| g.abs() > 1e-3));
        // The size is right: rounded all the same, with the identity as derivative.
        let (value, gradient) = sum_and_gradient(&x, shape, 1, &resize("uint8+pillow-bicubic", 20, 17));
        let (expected, smooth) = sum_and_gradient(&rounded, shape, 1, &resize("pillow-bicubic", 20, 17));
        assert!((value - expected).abs() < 1e-12);
        assert_eq!(gradient, smooth);
    }
}
