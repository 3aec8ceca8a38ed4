//! The three products against a naive loop in double precision, for each instruction set of this processor and for 1 and 2 threads.

use kme_conv::{Conv, Geometry, Isa};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Largest error of a number, relative to the largest number of the result.
const TOLERANCE: f64 = 1e-5;

fn numbers(n: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Calls `visit(index in x, index in w, index in y)` for every product of the convolution.
fn terms(g: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
    let [oh, ow] = g.output();
    let [h, w] = g.image;
    let [kh, kw] = g.kernel;
    for n in 0..g.batch {
        for o in 0..g.outputs {
            for c in 0..g.inputs {
                for u in 0..kh {
                    for i in 0..oh {
                        let y = (i * g.stride[0] + u).wrapping_sub(g.padding[0]);
                        if y >= h {
                            continue;
                        }
                        for v in 0..kw {
                            for j in 0..ow {
                                let x = (j * g.stride[1] + v).wrapping_sub(g.padding[1]);
                                if x < w {
                                    visit(
                                        ((n * g.inputs + c) * h + y) * w + x,
                                        ((o * g.inputs + c) * kh + u) * kw + v,
                                        ((n * g.outputs + o) * oh + i) * ow + j,
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Largest difference, relative to the largest number.
fn error(got: &[f32], expected: &[f64]) -> f64 {
    let scale = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    let worst = got.iter().zip(expected).fold(0.0f64, |a, (&g, e)| {
        let difference = (f64::from(g) - e).abs();
        if difference.is_nan() { f64::INFINITY } else { a.max(difference) }
    });
    if scale == 0.0 { worst } else { worst / scale }
}

fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// All three products of one geometry.
fn check(g: Geometry, seed: u64) -> [f64; 3] {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (x, w, dy) = (numbers(g.x_len(), &mut rng), numbers(g.w_len(), &mut rng), numbers(g.y_len(), &mut rng));
    let (bias, input_bias) = (numbers(g.outputs, &mut rng), numbers(g.inputs, &mut rng));
    let (mut y, mut dx, mut dw) = (vec![0.0f64; g.y_len()], vec![0.0; g.x_len()], vec![0.0; g.w_len()]);
    let plane = g.output()[0] * g.output()[1];
    for (i, y) in y.iter_mut().enumerate() {
        *y = bias[i / plane % g.outputs].into();
    }
    for (i, dx) in dx.iter_mut().enumerate() {
        *dx = input_bias[i / (g.image[0] * g.image[1]) % g.inputs].into();
    }
    terms(&g, |i, j, k| {
        y[k] += f64::from(x[i]) * f64::from(w[j]);
        dx[i] += f64::from(dy[k]) * f64::from(w[j]);
        dw[j] += f64::from(dy[k]) * f64::from(x[i]);
    });
    let mut worst = [0.0f64; 3];
    for isa in Isa::available() {
        let conv = Conv { geometry: g, isa };
        let run = || {
            // Stale contents must not matter.
            let mut results = [vec![f32::NAN; g.y_len()], vec![f32::NAN; g.x_len()], vec![f32::NAN; g.w_len()]];
            conv.forward(&x, &w, Some(&bias), &mut results[0]);
            conv.input_gradient(&dy, &w, Some(&input_bias), &mut results[1]);
            conv.weight_gradient(&x, &dy, &mut results[2]);
            results
        };
        let one = with_threads(1, run);
        let two = with_threads(2, run);
        let expected = [&y, &dx, &dw];
        for (i, name) in ["forward", "input gradient", "weight gradient"].iter().enumerate() {
            let bits = |v: &[f32]| v.iter().map(|f| f.to_bits()).collect::<Vec<_>>();
            assert!(bits(&one[i]) == bits(&two[i]), "{name} of {g:?} on {}: other bits on 2 threads", isa.name());
            let error = error(&one[i], expected[i]);
            assert!(error <= TOLERANCE, "{name} of {g:?} on {}: error {error:e}", isa.name());
            worst[i] = worst[i].max(error);
        }
    }
    worst
}

/// A geometry whose naive loop has at most `most` products.
fn random(rng: &mut impl Rng, most: usize) -> Geometry {
    loop {
        let mut g = Geometry {
            batch: rng.random_range(1..=65),
            inputs: rng.random_range(1..=130),
            outputs: rng.random_range(1..=130),
            image: [rng.random_range(1..=70), rng.random_range(1..=70)],
            kernel: [rng.random_range(1..=7), rng.random_range(1..=7)],
            stride: [rng.random_range(1..=3), rng.random_range(1..=3)],
            padding: [rng.random_range(0..=3), rng.random_range(0..=3)],
        };
        if rng.random_range(0..4) == 0 {
            // The commonest of all, with kernels of its own.
            (g.kernel, g.stride) = ([3; 2], [1; 2]);
        }
        let products = g.y_len() as f64 * (g.inputs * g.taps()) as f64;
        if g.y_len() > 0 && products <= most as f64 {
            return g;
        }
    }
}

#[test]
fn random_shapes() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut worst = [0.0f64; 3];
    for seed in 0..120 {
        let g = random(&mut rng, 20_000_000);
        for (worst, error) in worst.iter_mut().zip(check(g, seed)) {
            *worst = worst.max(error);
        }
    }
    println!(
        "largest relative errors: forward {:.1e}, input gradient {:.1e}, weight gradient {:.1e}",
        worst[0], worst[1], worst[2]
    );
}

/// Sizes whose products wrap around are refused before anything is read.
#[test]
#[should_panic(expected = "more numbers than memory can hold")]
fn sizes_beyond_memory_are_refused() {
    let geometry = Geometry {
        batch: 1,
        inputs: 1 << 63,
        outputs: 2,
        image: [2, 1],
        kernel: [1, 1],
        stride: [4, 1],
        padding: [1, 0],
    };
    Conv::new(geometry).forward(&[], &[], None, &mut [0.0; 2]);
}

/// Shapes at the edges of the ranges and of what the kernels distinguish.
#[test]
fn chosen_shapes() {
    let g = |batch, inputs, outputs, image, kernel, stride, padding| Geometry {
        batch,
        inputs,
        outputs,
        image: [image; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    };
    for (seed, geometry) in [
        g(1, 1, 1, 1, 1, 1, 0),
        g(65, 1, 16, 28, 5, 2, 2),
        g(64, 16, 32, 14, 5, 2, 2),
        g(64, 32, 64, 7, 5, 2, 2),
        g(64, 64, 128, 4, 5, 2, 2),
        g(17, 3, 64, 32, 4, 2, 1),
        g(1, 3, 64, 70, 3, 1, 1),
        g(1, 64, 3, 70, 3, 1, 1),
        g(1, 130, 130, 20, 3, 1, 1),
        g(2, 130, 67, 33, 3, 1, 1),
        g(16, 40, 40, 16, 3, 1, 1),
        // Winograd with runs of whole vectors, of parts of them, and clipped tiles.
        g(1, 24, 70, 69, 3, 1, 1),
        g(3, 33, 25, 30, 3, 1, 0),
        g(5, 64, 64, 13, 3, 1, 2),
        // Narrow and wide strided images of many channels.
        g(20, 30, 40, 12, 3, 2, 1),
        g(18, 3, 24, 64, 5, 2, 2),
        g(1, 64, 64, 70, 1, 1, 0),
        g(65, 130, 7, 1, 1, 1, 0),
        // A stride beyond the kernel: pixels that no tap meets.
        g(3, 5, 4, 20, 1, 3, 0),
        g(3, 5, 4, 20, 2, 3, 1),
        // Blocks of pixels that end within a row; no outputs; pixels without taps along one side.
        g(1, 1, 1, 10, 1, 1, 0),
        g(1, 1, 3, 10, 3, 2, 1),
        g(2, 51, 0, 12, 4, 2, 1),
        g(1, 3, 2, 5, 1, 9, 0),
        // A kernel as large as the padded image.
        g(4, 3, 5, 1, 7, 1, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let [y, dx, dw] = check(geometry, 1000 + seed as u64);
        println!("{geometry:?}: {y:.1e} {dx:.1e} {dw:.1e}");
    }
}
