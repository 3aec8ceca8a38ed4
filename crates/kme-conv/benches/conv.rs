//! Times of the three products of a convolution, one JSON object a line.
//!
//! `cargo bench -p kme-conv --bench conv -- [--threads N] [--runs N] [--only TEXT]`; `benches/conv.py` runs it beside PyTorch.

use kme_conv::{Conv, Geometry};
use std::time::Instant;

/// Name, batch, inputs, outputs, image, kernel, stride, padding.
type Row = (&'static str, usize, usize, usize, [usize; 2], usize, usize, usize);

/// VGG19 up to relu5_1 at two sizes, DCGAN layers at two sizes, a 1×1. The input gradient of a strided row is the forward pass
/// of the transposed convolution between the same sizes.
const ROWS: &[Row] = &[
    ("vgg 3-64 256x256", 1, 3, 64, [256, 256], 3, 1, 1),
    ("vgg 64-64 256x256", 1, 64, 64, [256, 256], 3, 1, 1),
    ("vgg 64-128 128x128", 1, 64, 128, [128, 128], 3, 1, 1),
    ("vgg 128-128 128x128", 1, 128, 128, [128, 128], 3, 1, 1),
    ("vgg 128-256 64x64", 1, 128, 256, [64, 64], 3, 1, 1),
    ("vgg 256-256 64x64", 1, 256, 256, [64, 64], 3, 1, 1),
    ("vgg 256-512 32x32", 1, 256, 512, [32, 32], 3, 1, 1),
    ("vgg 512-512 32x32", 1, 512, 512, [32, 32], 3, 1, 1),
    ("vgg 512-512 16x16", 1, 512, 512, [16, 16], 3, 1, 1),
    ("vgg 3-64 300x500", 1, 3, 64, [300, 500], 3, 1, 1),
    ("vgg 64-64 300x500", 1, 64, 64, [300, 500], 3, 1, 1),
    ("vgg 64-128 150x250", 1, 64, 128, [150, 250], 3, 1, 1),
    ("vgg 128-128 150x250", 1, 128, 128, [150, 250], 3, 1, 1),
    ("vgg 128-256 75x125", 1, 128, 256, [75, 125], 3, 1, 1),
    ("vgg 256-256 75x125", 1, 256, 256, [75, 125], 3, 1, 1),
    ("vgg 256-512 37x62", 1, 256, 512, [37, 62], 3, 1, 1),
    ("vgg 512-512 37x62", 1, 512, 512, [37, 62], 3, 1, 1),
    ("vgg 512-512 18x31", 1, 512, 512, [18, 31], 3, 1, 1),
    ("dcgan 4x4 3-64 32", 64, 3, 64, [32, 32], 4, 2, 1),
    ("dcgan 4x4 64-128 16", 64, 64, 128, [16, 16], 4, 2, 1),
    ("dcgan 4x4 128-256 8", 64, 128, 256, [8, 8], 4, 2, 1),
    ("dcgan 4x4 256-512 4", 64, 256, 512, [4, 4], 4, 2, 1),
    ("dcgan 5x5 3-64 32", 64, 3, 64, [32, 32], 5, 2, 2),
    ("dcgan 5x5 64-128 16", 64, 64, 128, [16, 16], 5, 2, 2),
    ("dcgan 5x5 128-256 8", 64, 128, 256, [8, 8], 5, 2, 2),
    ("dcgan 5x5 256-512 4", 64, 256, 512, [4, 4], 5, 2, 2),
    ("dcgan 4x4 3-64 64", 64, 3, 64, [64, 64], 4, 2, 1),
    ("dcgan 4x4 64-128 32", 64, 64, 128, [32, 32], 4, 2, 1),
    ("dcgan 5x5 3-64 64", 64, 3, 64, [64, 64], 5, 2, 2),
    ("dcgan 5x5 64-128 32", 64, 64, 128, [32, 32], 5, 2, 2),
    ("fashion 5x5 1-16 28", 64, 1, 16, [28, 28], 5, 2, 2),
    ("fashion 5x5 16-32 14", 64, 16, 32, [14, 14], 5, 2, 2),
    ("fashion 5x5 32-64 7", 64, 32, 64, [7, 7], 5, 2, 2),
    ("1x1 256-64 56x56", 1, 256, 64, [56, 56], 1, 1, 0),
    ("1x1 512-512 16x16", 8, 512, 512, [16, 16], 1, 1, 0),
];

/// Seconds that a row is run for at least.
const LEAST: f64 = 0.1;

fn main() {
    // As in the program.
    kme_conv::scratch::keep_freed_memory();
    let (mut threads, mut runs, mut only) = (None, 5usize, String::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{flag} needs a value"));
        match flag.as_str() {
            "--bench" => {}
            "--threads" => threads = Some(value().parse().expect("--threads: a number")),
            "--runs" => runs = value().parse().expect("--runs: a number"),
            "--only" => only = value(),
            other => panic!("{other}: known are --threads, --runs, --only"),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build_global().expect("a pool of threads");
    for &(name, batch, inputs, outputs, image, kernel, stride, padding) in ROWS {
        if !name.contains(&only) {
            continue;
        }
        let g =
            Geometry { batch, inputs, outputs, image, kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] };
        let conv = Conv::new(g);
        let numbers = |n: usize| (0..n).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>();
        let (x, w, dy) = (numbers(g.x_len()), numbers(g.w_len()), numbers(g.y_len()));
        let (mut y, mut dx, mut dw) = (vec![0.0; g.y_len()], vec![0.0; g.x_len()], vec![0.0; g.w_len()]);
        let mut times = [const { Vec::new() }; 3];
        // The first rounds warm up.
        let begun = Instant::now();
        let mut round = 0;
        while round <= runs || begun.elapsed().as_secs_f64() < LEAST {
            let mut clock = Instant::now();
            let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64() * 1e3;
            conv.forward(&x, &w, None, &mut y);
            let forward = lap();
            conv.input_gradient(&dy, &w, None, &mut dx);
            let input = lap();
            conv.weight_gradient(&x, &dy, &mut dw);
            let weight = lap();
            round += 1;
            if round > 1 {
                for (times, time) in times.iter_mut().zip([forward, input, weight]) {
                    times.push(time);
                }
            }
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let [forward, input, weight] = times.each_mut().map(median);
        let products = g.y_len() as f64 * (inputs * kernel * kernel) as f64;
        let gflops = |ms: f64| 2e-6 * products / ms;
        println!(
            "{{\"row\":\"{name}\",\"isa\":\"{}\",\"forward_ms\":{forward:.3},\"input_gradient_ms\":{input:.3},\"weight_gradient_ms\":{weight:.3},\
             \"gflops\":[{:.0},{:.0},{:.0}],\"geometry\":[{batch},{inputs},{outputs},{},{},{kernel},{stride},{padding}]}}",
            conv.isa.name(),
            gflops(forward),
            gflops(input),
            gflops(weight),
            image[0],
            image[1],
        );
    }
}
