//! Pooling against naive loops, in both precisions (our own kernels and burn's), and adjoints against each other.

use burn::tensor::{DType, Device, Tensor, TensorData};
use kme_conv::Window;
use kme_conv::pool::{average, average_back, max_pool, pick, put};
use rand::{RngExt, SeedableRng};

const SIZES: [[usize; 2]; 4] = [[9, 7], [8, 8], [5, 12], [33, 40]];

fn windows() -> Vec<Window> {
    let mut all = Vec::new();
    for (kernel, stride, padding) in [
        ([2, 2], [2, 2], [0, 0]),
        ([3, 3], [2, 2], [0, 0]),
        ([3, 3], [2, 2], [1, 1]),
        ([3, 3], [1, 1], [1, 1]),
        ([3, 2], [1, 3], [2, 0]),
        ([5, 4], [2, 1], [1, 2]),
    ] {
        all.extend([false, true].map(|ceil| Window { kernel, stride, padding, ceil }));
    }
    all
}

/// Small whole numbers, so that there are equals.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..count).map(|_| f64::from(rng.random_range(-9..10))).collect()
}

fn tensor(values: &[f64], shape: [usize; 4], dtype: DType) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex(), dtype))
}

fn values(tensor: Tensor<4>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// For each window of a plane the places that it sees, row after row.
fn seen(window: &Window, [h, w]: [usize; 2]) -> Vec<Vec<usize>> {
    let [oh, ow] = window.output([h, w]);
    let along = |a: usize, o: usize, size: usize| {
        let first = (o * window.stride[a]) as isize - window.padding[a] as isize;
        (first..first + window.kernel[a] as isize).filter(move |&i| (0..size as isize).contains(&i)).map(|i| i as usize)
    };
    let of = |i, j| along(0, i, h).flat_map(|y| along(1, j, w).map(move |x| y * w + x)).collect();
    (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))).map(|(i, j)| of(i, j)).collect()
}

#[test]
fn pooling_is_its_formula() {
    let (n, c) = (2, 3);
    for image in SIZES {
        for window in windows() {
            let [h, w] = image;
            let (plane, [oh, ow]) = (h * w, window.output(image));
            let (x, y) = (numbers(n * c * plane, 1), numbers(n * c * plane, 2));
            let g = numbers(n * c * oh * ow, 3);
            let seen = seen(&window, image);
            assert!(seen.len() == oh * ow && seen.iter().all(|seen| !seen.is_empty()), "{window:?}");
            let mut expected = [const { Vec::new() }; 3];
            let (mut placed, mut spread) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            for p in 0..n * c {
                for (o, seen) in seen.iter().enumerate() {
                    let first = |best: usize, &i: &usize| if x[p * plane + i] > x[p * plane + best] { i } else { best };
                    let best = p * plane + seen.iter().fold(seen[0], first);
                    expected[0].push(x[best]);
                    expected[1].push(y[best]);
                    expected[2].push(seen.iter().map(|i| x[p * plane + i]).sum::<f64>() / seen.len() as f64);
                    placed[best] += g[p * oh * ow + o];
                    seen.iter().for_each(|i| spread[p * plane + i] += g[p * oh * ow + o] / seen.len() as f64);
                }
            }
            for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-12)] {
                let (x, y) = (tensor(&x, [n, c, h, w], dtype), tensor(&y, [n, c, h, w], dtype));
                let g = tensor(&g, [n, c, oh, ow], dtype);
                let close = |what: &str, found: Tensor<4>, expected: &[f64]| {
                    let found = values(found);
                    let near = |(a, b): (&f64, &f64)| (a - b).abs() < tolerance;
                    let all = found.len() == expected.len() && found.iter().zip(expected).all(near);
                    assert!(all, "{what} of {image:?}, {window:?}, {dtype:?}");
                };
                close("maximum", max_pool(x.clone(), window), &expected[0]);
                close("pick", pick(x.clone(), y, window), &expected[1]);
                close("average", average(x.clone(), window), &expected[2]);
                close("put", put(x, g.clone(), window), &placed);
                close("average back", average_back(g, image, window), &spread);
            }
        }
    }
}

/// As PyTorch: no window begins beyond the image.
#[test]
fn rounding_up_adds_windows_that_begin_in_the_image() {
    let window = |kernel, stride, padding, ceil| Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        ceil,
    };
    assert_eq!(window(2, 2, 0, true).output([5, 4]), [3, 2]);
    assert_eq!(window(3, 2, 0, true).output([112, 111]), [56, 55]);
    assert_eq!(window(3, 2, 0, false).output([112, 111]), [55, 55]);
    assert_eq!(window(2, 3, 1, true).output([4, 5]), [2, 2]);
    assert_eq!(window(3, 1, 0, true).output([2, 3]), [0, 1]);
}

#[test]
fn a_number_that_is_none_spreads_and_threads_change_nothing() {
    let window = Window { kernel: [3, 3], stride: [2, 2], padding: [1, 1], ceil: false };
    let mut x = numbers(64 * 41 * 41, 5);
    x[7] = f64::NAN;
    let run = || {
        let x = tensor(&x, [1, 64, 41, 41], DType::F32);
        let (most, mean) = (max_pool(x.clone(), window), average(x, window));
        values(most).into_iter().chain(values(mean)).map(f64::to_bits).collect::<Vec<_>>()
    };
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(run);
    assert_eq!(alone, rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap().install(run));
    let none: Vec<_> = (0..21).filter(|&j| f64::from_bits(alone[j]).is_nan()).collect();
    assert_eq!(none, [3, 4]);
}

/// The gradient of a sum is what the adjoint makes of ones, and the adjoint's that of the map.
#[test]
fn derivatives_are_the_partners() {
    for dtype in [DType::F32, DType::F64] {
        let window = Window { kernel: [3, 3], stride: [2, 2], padding: [1, 0], ceil: true };
        let shape = [2, 2, 8, 9];
        let x = tensor(&numbers(288, 6), shape, dtype);
        let [oh, ow] = window.output([8, 9]);
        let g = tensor(&numbers(4 * oh * ow, 7), [2, 2, oh, ow], dtype);
        let leaf = |t: &Tensor<4>| t.clone().autodiff().require_grad();
        let (tracked, cotangent) = (leaf(&x), leaf(&g));
        let gradient = |of: Tensor<4>, leaf: &Tensor<4>| values(leaf.grad(&of.sum().backward()).unwrap());
        let fixed = |t: &Tensor<4>| t.clone().autodiff();
        let most = max_pool(tracked.clone(), window) * fixed(&g);
        assert_eq!(gradient(most, &tracked), values(put(x.clone(), g.clone(), window)));
        let mean = average(tracked.clone(), window) * fixed(&g);
        assert_eq!(gradient(mean, &tracked), values(average_back(g.clone(), [8, 9], window)));
        let placed = put(fixed(&x), cotangent.clone(), window) * fixed(&x);
        assert_eq!(gradient(placed, &cotangent), values(pick(x.clone(), x.clone(), window)));
        let spread = average_back(cotangent.clone(), [8, 9], window) * fixed(&x);
        let (found, expected) = (gradient(spread, &cotangent), values(average(x, window)));
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}
