//! Networks with made-up weights, as `golden/networks.py` makes them too.

use std::collections::BTreeMap;

/// `count` numbers in [0, 1): SplitMix64 from the FNV-1a hash of the name, as `golden/networks.py` has it.
pub fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    (1..=count as u64).map(move |i| {
        let mut z = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 40) as f64 / f64::from(1 << 24)
    })
}

fn tensor(name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let value = |u: f64| match shape.len() {
        2.. => (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt(),
        _ if name.ends_with("running_var") => 0.5 + u,
        _ if name.ends_with(".weight") => 0.75 + 0.5 * u,
        _ => 0.2 * u - 0.1,
    };
    uniform(name, shape.iter().product()).map(|u| value(u) as f32).collect()
}

/// What `golden/networks.json` holds of a network.
#[derive(serde::Deserialize)]
pub struct Golden {
    /// The height and width of the picture that it saw.
    pub size: [usize; 2],
    /// The shapes of its tensors, by name.
    pub tensors: BTreeMap<String, Vec<usize>>,
    /// The first numbers of some layers' outputs, by the layer's name.
    pub layers: BTreeMap<String, Vec<f64>>,
}

impl Golden {
    /// All networks, by name.
    pub fn all() -> BTreeMap<String, Self> {
        serde_json::from_str(include_str!("../golden/networks.json")).expect("the file that the script wrote")
    }

    /// Its weights: shape and numbers of each tensor, by name.
    pub fn weights(&self) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        self.tensors.iter().map(|(name, shape)| (name.clone(), (shape.clone(), tensor(name, shape)))).collect()
    }
}
