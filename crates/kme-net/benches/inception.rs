//! Times of known networks as feature maps, from pictures in memory to features, one JSON object a line.
//!
//! `cargo bench -p kme-net --bench inception -- [--threads N] [--runs N] [--only TEXT]`; `benches/inception.py` runs it beside
//! PyTorch. Weights and pictures are made up by the same formula there.

use kme_image::{Images, Protocol};
use kme_net::weights::Weights;
use kme_net::{Extractor, FeatureMap, Network, Place, Positions, network_card};
use kme_testing::made_up::{Golden, uniform};
use std::path::Path;
use std::time::Instant;

/// Pictures of a run.
const PICTURES: usize = 16;

/// The known network of this name with made-up weights.
fn network(name: &str, golden: &Golden) -> Network {
    let weights = Weights { tensors: golden.weights(), sha256: "0".repeat(64), container: "made up" };
    let card = network_card(name).expect("a known network");
    Network::of_weights(card, &weights, Path::new("made-up.pth"), &Place::cpu()).expect("made-up weights")
}

fn main() {
    // As in the program.
    kme_conv::scratch::keep_freed_memory();
    let (mut threads, mut runs, mut only) = (0, 3usize, String::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{flag} needs a value"));
        match flag.as_str() {
            "--bench" => {}
            "--threads" => threads = value().parse().expect("--threads: a number"),
            "--runs" => runs = value().parse().expect("--runs: a number"),
            "--only" => only = value(),
            other => panic!("{other}: known are --threads, --runs, --only"),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("a pool of threads");
    for (name, golden) in Golden::all().into_iter().filter(|(name, _)| name.contains(&only)) {
        let network = network(&name, &golden);
        let [c, h, w] = network.net.input();
        let layer = network_card(&name).expect("a known network").features;
        let map = Extractor::of_network(&network, layer, Positions::Mean).expect("its feature layer");
        // Pictures have the right size, and are not rounded to 8 bits: PyTorch does not round them either.
        let map = map.with_resize(Protocol::default());
        let pixels = uniform(&format!("{name} pictures"), PICTURES * c * h * w).map(|u| u as f32).collect();
        let images = Images::new(PICTURES, c, h, w, pixels).expect("pixels in [0, 1]");
        let run = || match map.features((&images).into()).expect("finite features").into_data() {
            kme::Data::F32(rows) => rows,
            kme::Data::F64(_) => unreachable!("features are in single precision"),
        };
        let rows = run();
        let time = |_| {
            let clock = Instant::now();
            run();
            clock.elapsed().as_secs_f64() * 1e3
        };
        let mut times: Vec<f64> = (0..runs.max(1)).map(time).collect();
        times.sort_by(f64::total_cmp);
        let dim = rows.len() / PICTURES;
        // The means of the first and the last picture's features.
        let check = [0, PICTURES - 1].map(|i| rows[i * dim..][..dim].iter().sum::<f32>() / dim as f32);
        println!(
            "{{\"row\":\"{name}\",\"pictures\":{PICTURES},\"ms\":{},\"check\":{check:?}}}",
            times[times.len() / 2]
        );
    }
}
