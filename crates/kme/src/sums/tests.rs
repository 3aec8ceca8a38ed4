//! The engine against naive loops.

use super::*;
use crate::Field;
use crate::points::{Data, Points};
use kme_testing::normal;

const KERNELS: [&str; 16] = [
    "linear",
    "poly:degree=1,gamma=0.5,coef=1",
    "poly:degree=2,gamma=1,coef=0",
    "poly:degree=3,gamma=0.1,coef=1",
    "poly:degree=4,5,gamma=0.1,coef=1",
    "gaussian:sigma=2",
    "gaussian:sigma=2,5,10,20,40,80",
    "rq:alpha=0.2,0.5,1,2,5",
    "rq:alpha=0.7,1.5,3,50",
    "rq:alpha=0.2,0.5,1,2,5+linear",
    "laplacian:scale=3",
    "imq:c=0.7",
    "energy",
    "energy:a=1e-6",
    "distance",
    "0.5*energy:a=0.3+2*poly:degree=2,gamma=0.2,coef=0.1+distance",
];

fn sample(n: usize, d: usize, seed: u64) -> Points {
    let mut rng = crate::rng::stream(seed, "sums", 0);
    let offset = 0.3 * seed as f64;
    Points::new(n, d, Data::F64((0..n * d).map(|_| offset + normal(&mut rng)).collect())).unwrap()
}

fn weights_of(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.2 + (i as f64).sin()).collect()
}

fn row(p: &Points, i: usize) -> Vec<f64> {
    let d = p.dim();
    match p.data() {
        Data::F64(v) => v[i * d..(i + 1) * d].to_vec(),
        Data::F32(v) => v[i * d..(i + 1) * d].iter().map(|&x| f64::from(x)).collect(),
    }
}

/// K by a plain loop; distances are taken from differences, so nothing cancels.
fn naive(kernel: &Kernel, x: &Points, y: &Points) -> Vec<Vec<f64>> {
    (0..x.len())
        .map(|i| {
            (0..y.len())
                .map(|j| {
                    let (x, y) = (row(x, i), row(y, j));
                    if kernel.is_radial() {
                        let difference: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x - y).collect();
                        return kernel.value(&Pair::of(&difference, &vec![0.0; x.len()]));
                    }
                    kernel.value(&Pair::of(&x, &y))
                })
                .collect()
        })
        .collect()
}

fn close(found: f64, right: f64, scale: f64, tolerance: f64, what: &str) {
    assert!((found - right).abs() <= tolerance * scale, "{what}: {found} is not {right}");
}

fn agree(found: &[f64], right: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), right.len(), "{what}");
    let scale = right.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    for (found, right) in found.iter().zip(right) {
        close(*found, *right, scale, tolerance, what);
    }
}

/// All operations for one kernel and sizes that are not multiples of anything.
fn check(kernel: &Kernel, x: &Points, y: &Points, precision: Precision, tolerance: f64) {
    let (n, m) = (x.len(), y.len());
    let (u, v) = (weights_of(n), weights_of(m));
    let (kxy, kxx) = (naive(kernel, x, y), naive(kernel, x, x));
    let absolute = |k: &[Vec<f64>]| k.iter().flatten().map(|k| k.abs()).sum::<f64>();

    let total: f64 = kxy.iter().zip(&u).map(|(k, u)| k.iter().zip(&v).map(|(k, v)| k * u * v).sum::<f64>()).sum();
    let found = cross(kernel, x, Some(&u), y, Some(&v), precision).unwrap();
    close(found, total, absolute(&kxy), tolerance, &format!("cross {kernel}"));

    let off: f64 = (0..n)
        .flat_map(|i| (0..n).filter(move |&j| j != i).map(move |j| (i, j)))
        .map(|(i, j)| kxx[i][j] * u[i] * u[j])
        .sum();
    let on: f64 = (0..n).map(|i| kxx[i][i] * u[i] * u[i]).sum();
    let found = within(kernel, x, Some(&u), precision).unwrap();
    close(found.off_diagonal, off, absolute(&kxx), tolerance, &format!("within {kernel}"));
    close(found.diagonal, on, on.abs(), tolerance, &format!("diagonal {kernel}"));

    let right: Vec<f64> = kxy.iter().map(|k| k.iter().zip(&v).map(|(k, v)| k * v).sum()).collect();
    agree(&rows(kernel, x, y, Some(&v), precision).unwrap(), &right, tolerance, &format!("rows {kernel}"));

    let found = cross_marginals(kernel, x.view(), y.view(), 0.0, precision).unwrap();
    agree(
        &found.rows,
        &kxy.iter().map(|k| k.iter().sum()).collect::<Vec<f64>>(),
        tolerance,
        &format!("row sums {kernel}"),
    );
    let columns: Vec<f64> = (0..m).map(|j| kxy.iter().map(|k| k[j]).sum()).collect();
    agree(&found.columns, &columns, tolerance, &format!("column sums {kernel}"));
    let squares: f64 = kxy.iter().flatten().map(|k| k * k).sum();
    close(found.squares, squares, squares, 2.0 * tolerance, &format!("squares {kernel}"));

    let found = within_marginals(kernel, x.view(), 0.0, precision).unwrap();
    let right: Vec<f64> = (0..n).map(|i| (0..n).filter(|&j| j != i).map(|j| kxx[i][j]).sum()).collect();
    agree(&found.rows, &right, tolerance, &format!("row sums within {kernel}"));
    agree(&found.diagonal, &(0..n).map(|i| kxx[i][i]).collect::<Vec<_>>(), tolerance, &format!("diagonal {kernel}"));
    let squares: f64 = (0..n).map(|i| (0..n).filter(|&j| j != i).map(|j| kxx[i][j].powi(2)).sum::<f64>()).sum();
    close(found.squares, squares, squares, 2.0 * tolerance, &format!("squares within {kernel}"));

    let mut right = Vec::new();
    for i in 0..n {
        let x = row(x, i);
        let mut gradient = vec![0.0; x.len()];
        for (j, v) in v.iter().enumerate() {
            let y = row(y, j);
            let slope = kernel.slope(&Pair::of(&x, &y));
            for (g, (x, y)) in gradient.iter_mut().zip(x.iter().zip(&y)) {
                *g += v * (slope.dot * y + 2.0 * slope.xx * x);
            }
        }
        right.extend(gradient);
    }
    let found = gradients(kernel, x, y, Some(&v), precision).unwrap();
    agree(&found, &right, 20.0 * tolerance, &format!("gradients {kernel}"));
}

#[test]
fn every_kernel_equals_the_naive_loop() {
    for text in KERNELS {
        let kernel: Kernel = text.parse().unwrap();
        check(&kernel, &sample(37, 5, 0), &sample(21, 5, 1), Precision::F64, 1e-12);
        check(&kernel, &sample(300, 3, 1), &sample(530, 3, 2), Precision::F64, 1e-11);
        check(&kernel, &sample(3, 70, 0), &sample(1, 70, 1), Precision::F64, 1e-11);
        check(&kernel, &sample(45, 9, 0), &sample(30, 9, 1), Precision::F32, 2e-5);
    }
}

/// What a tile adds up, by `run`: the vectorised code, or the same code for processors without its instructions.
fn tile_sums<T: simd::Real>(kernel: &Kernel, run: impl Fn(tile::Sums<'_, T>)) -> (Vec<f64>, Vec<f64>, f64) {
    let (left, right) = (sample(19, 6, 0), sample(45, 6, 1));
    let (x, y) = (Panel::<T>::new(left.view(), 0..19, None), Panel::<T>::new(right.view(), 0..45, None));
    let dot = |i: usize, j: usize| (0..6).map(|k| x.data[6 * i + k].widen() * y.data[6 * j + k].widen()).sum();
    let mut dots: Vec<T> = (0..19 * 45).map(|e| T::narrow(dot(e / 45, e % 45))).collect();
    let (u, v) = (weights_of(19), weights_of(45));
    let (mut rows, mut columns, mut squares) = (vec![0.0; 19], vec![0.0; 45], 0.0);
    run(tile::Sums {
        tile: tile::Tile {
            entries: &mut dots,
            what: tile::Entries::Products,
            xx: &x.norms,
            yy: &y.norms,
            differences: None,
            near: near::Near {
                x: left.view(),
                y: right.view(),
                first_row: 0,
                first_column: 0,
                farthest: f64::INFINITY,
            },
        },
        kernel,
        origins: &weights_of(19),
        diagonal: true,
        column_weights: &v,
        rows: &mut rows,
        columns: Some((&u, &mut columns)),
        squares: Some(&mut squares),
    });
    (rows, columns, squares)
}

#[test]
fn instruction_sets_agree() {
    fn check<T: simd::Real>(tolerance: f64) {
        for text in KERNELS {
            let kernel: Kernel = text.parse().unwrap();
            let fast = tile_sums::<T>(&kernel, |sums| simd::vectorised(sums));
            for plain in [
                tile_sums::<T>(&kernel, |sums| simd::Work::run::<false>(sums)),
                tile_sums::<T>(&kernel, |sums| simd::Work::run::<true>(sums)),
            ] {
                agree(&fast.0, &plain.0, tolerance, text);
                agree(&fast.1, &plain.1, tolerance, text);
                close(fast.2, plain.2, plain.2, tolerance, text);
            }
        }
    }
    check::<f64>(1e-13);
    check::<f32>(1e-5);
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let (x, y) = (sample(1100, 7, 0), sample(777, 7, 1));
    let (u, v) = (weights_of(1100), weights_of(777));
    for text in ["gaussian:sigma=2", "rq:alpha=0.2,1+linear", "distance"] {
        let kernel: Kernel = text.parse().unwrap();
        for precision in [Precision::F64, Precision::F32] {
            let all = || {
                (
                    cross(&kernel, &x, Some(&u), &y, Some(&v), precision).unwrap().to_bits(),
                    within(&kernel, &x, Some(&u), precision).unwrap(),
                    rows(&kernel, &x, &y, Some(&v), precision).unwrap(),
                    gradients(&kernel, &x, &y, Some(&v), precision).unwrap(),
                    cross_marginals(&kernel, x.view(), y.view(), 0.3, precision).unwrap(),
                    within_marginals(&kernel, x.view(), 0.3, precision).unwrap(),
                    distances(y.view()),
                )
            };
            let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all);
            let one = pool(1);
            assert!(one == pool(2) && one == pool(3), "{text} {precision:?}");
        }
    }
}

#[test]
fn single_precision_points_are_widened() {
    let wide = sample(70, 6, 3);
    let Data::F64(numbers) = wide.data() else { unreachable!() };
    let narrow = Points::new(70, 6, Data::F32(numbers.iter().map(|&x| x as f32).collect())).unwrap();
    let Data::F32(rounded) = narrow.data() else { unreachable!() };
    let same = Points::new(70, 6, Data::F64(rounded.iter().map(|&x| f64::from(x)).collect())).unwrap();
    for text in KERNELS {
        let kernel: Kernel = text.parse().unwrap();
        let all = |p: &Points| rows(&kernel, p, p, None, Precision::F64).unwrap();
        assert_eq!(all(&narrow), all(&same), "{text}");
    }
}

#[test]
fn far_from_the_origin_radial_kernels_keep_their_digits() {
    let near = sample(50, 4, 0);
    let Data::F64(numbers) = near.data() else { unreachable!() };
    let far = Points::new(50, 4, Data::F64(numbers.iter().map(|x| x + 1e6).collect())).unwrap();
    let Data::F64(rounded) = far.data() else { unreachable!() };
    let near = Points::new(50, 4, Data::F64(rounded.iter().map(|x| x - 1e6).collect())).unwrap();
    for text in ["gaussian:sigma=1", "energy", "imq:c=1", "rq:alpha=0.2"] {
        let kernel: Kernel = text.parse().unwrap();
        for (precision, tolerance) in [(Precision::F64, 1e-9), (Precision::F32, 1e-4)] {
            let (a, b) =
                (within(&kernel, &far, None, precision).unwrap(), within(&kernel, &near, None, precision).unwrap());
            close(a.off_diagonal, b.off_diagonal, b.off_diagonal.abs(), tolerance, text);
        }
    }
}

#[test]
fn coincident_points_have_distance_zero() {
    for d in [2, 50, 2048] {
        let x = sample(30, d, 4);
        for text in KERNELS {
            let kernel: Kernel = text.parse().unwrap();
            for (precision, tolerance) in [(Precision::F64, 1e-13), (Precision::F32, 2e-6)] {
                let within = within(&kernel, &x, None, precision).unwrap();
                let right = within.off_diagonal + within.diagonal;
                let size = right.abs().max(within.diagonal.abs());
                let cross = cross(&kernel, &x, None, &x, None, precision).unwrap();
                close(cross, right, size, tolerance, &format!("{text} d={d} {precision:?}"));
            }
        }
        // One point: nothing but the point itself, where radial kernels are flat or have the zero subgradient.
        let one = sample(1, d, 5);
        for text in ["energy", "laplacian:scale=0.5", "gaussian:sigma=0.1", "energy:a=1e-6"] {
            let found = gradients(&text.parse().unwrap(), &one, &one, None, Precision::F64).unwrap();
            assert!(found.iter().all(|g| *g == 0.0), "{text} d={d}");
        }
        let both = Points::concat(&[&one, &x]).unwrap();
        let found = gradients(&"energy".parse().unwrap(), &one, &both, None, Precision::F64).unwrap();
        let right = gradients(&"energy".parse().unwrap(), &one, &x, None, Precision::F64).unwrap();
        agree(&found, &right, 1e-12, "a coincident point pulls nowhere");
    }
}

#[test]
fn an_origin_is_subtracted() {
    let (x, y) = (sample(300, 3, 0), sample(40, 3, 1));
    let kernel: Kernel = "gaussian:sigma=2".parse().unwrap();
    let (plain, moved) =
        [0.0, 0.25].map(|o| cross_marginals(&kernel, x.view(), y.view(), o, Precision::F64).unwrap()).into();
    for (plain, moved) in plain.rows.iter().zip(&moved.rows) {
        close(*moved, plain - 40.0 * 0.25, 1.0, 1e-12, "row");
    }
    for (plain, moved) in plain.columns.iter().zip(&moved.columns) {
        close(*moved, plain - 300.0 * 0.25, 1.0, 1e-12, "column");
    }
    let total: f64 = plain.rows.iter().sum();
    close(moved.squares, plain.squares - 0.5 * total + 12000.0 * 0.0625, plain.squares, 1e-12, "squares");
    let (plain, moved) = [0.0, 0.25].map(|o| within_marginals(&kernel, x.view(), o, Precision::F64).unwrap()).into();
    close(moved.rows[7], plain.rows[7] - 299.0 * 0.25, 1.0, 1e-12, "row within");
    assert_eq!(moved.diagonal[7], plain.diagonal[7] - 0.25);
}

#[test]
fn faults_are_named() {
    let (x, y, z) = (sample(5, 3, 0), sample(4, 3, 1), sample(4, 2, 1));
    let kernel: Kernel = "linear".parse().unwrap();
    let sum = |u: Option<&[f64]>, y, v: Option<&[f64]>| cross(&kernel, &x, u, y, v, Precision::F64).unwrap_err();
    assert!(matches!(sum(None, &z, None), Error::Mismatch { field: Field::Dimension, .. }));
    assert!(matches!(sum(Some(&[1.0; 4]), &y, None), Error::Mismatch { field: Field::Count(_), .. }));
    let nan = sum(None, &y, Some(&[1.0, f64::NAN, 1.0, 1.0]));
    assert!(matches!(&nan, Error::NotFinite { what, .. } if what == "weights[1]"), "{nan}");
    let beyond = pairs(&kernel, &x, &y, &[(0, 3), (0, 4)]).unwrap_err();
    assert_eq!(beyond.parameter_name(), Some("pairs[1]"));
    let huge = Points::new(4, 1, Data::F64(vec![1e200, -1e200, 3e200, 1.0])).unwrap();
    for text in ["linear", "poly:degree=2,gamma=1,coef=0", "rq:alpha=0.2+linear", "rq:alpha=1+energy"] {
        let kernel: Kernel = text.parse().unwrap();
        let found = within(&kernel, &huge, None, Precision::F64);
        assert!(matches!(found, Err(Error::NotFinite { .. })), "{text}");
    }
    for (text, right) in [("gaussian:sigma=1", 0.0), ("energy", -26e200), ("rq:alpha=0.2", 0.0), ("distance", 4e200)] {
        let kernel: Kernel = text.parse().unwrap();
        let found = within(&kernel, &huge, None, Precision::F64).unwrap().off_diagonal;
        assert!((found - right).abs() <= 1e-14 * right.abs() + 1e-50, "{text}: {found:e}");
    }
    let large = Points::new(2, 1, Data::F64(vec![1e25, -1e25])).unwrap();
    assert!(
        within(&"linear+poly:degree=4,gamma=1,coef=0".parse().unwrap(), &large, None, Precision::F32)
            .unwrap_err()
            .to_string()
            .contains("use double")
    );
}

#[test]
fn coefficients_that_underflow_are_left_to_the_tiles() {
    // Scaled so that the largest term is well within range, though its coefficient is not.
    let scaled = |n: usize, seed: u64| {
        let Data::F64(numbers) = sample(n, 2, seed).into_data() else { unreachable!() };
        Points::new(n, 2, Data::F64(numbers.iter().map(|x| x * 1e20).collect())).unwrap()
    };
    let (x, y) = (scaled(50, 0), scaled(40, 1));
    for text in [
        "1e-300*poly:degree=3,gamma=1e-12,coef=0",
        "5e-324*poly:degree=1,gamma=0.1,coef=0",
        "1e-300*poly:degree=2,gamma=1e-12,coef=1",
        "1e-100*poly:degree=3,gamma=1e12,coef=1e-12",
    ] {
        let kernel: Kernel = text.parse().unwrap();
        let right: f64 = naive(&kernel, &x, &y).iter().flatten().sum();
        let found = cross(&kernel, &x, None, &y, None, Precision::F64).unwrap();
        close(found, right, right.abs(), 1e-9, text);
        let right: f64 = naive(&kernel, &x, &x).iter().flatten().sum();
        let found = within(&kernel, &x, None, Precision::F64).unwrap();
        close(found.off_diagonal + found.diagonal, right, right.abs(), 1e-9, text);
    }
}

#[test]
fn negligible_slopes_are_no_slopes() {
    // The slope is about 1e-33.
    let (x, y) = (Points::new(1, 1, Data::F64(vec![0.0])).unwrap(), Points::new(1, 1, Data::F64(vec![12.3])).unwrap());
    let of = |precision| gradients(&"gaussian:sigma=1".parse().unwrap(), &x, &y, None, precision).unwrap()[0];
    assert_eq!(of(Precision::F32), 0.0);
    assert!(of(Precision::F64) > 1e-33);
}

#[test]
fn tall_tasks_and_many_tiles_equal_the_naive_loop() {
    let n = 4200;
    let (x, w) = (sample(n, 2, 3), weights_of(n));
    let points: Vec<Vec<f64>> = (0..n).map(|i| row(&x, i)).collect();
    let mut right = 0.0;
    for i in 0..n {
        for j in 0..i {
            let square: f64 = points[i].iter().zip(&points[j]).map(|(a, b)| (a - b).powi(2)).sum();
            right += 2.0 * w[i] * w[j] * (-0.5 * square).exp();
        }
    }
    for (precision, tolerance) in [(Precision::F64, 1e-11), (Precision::F32, 1e-5)] {
        let found = within(&"gaussian:sigma=1".parse().unwrap(), &x, Some(&w), precision).unwrap();
        close(found.off_diagonal, right, right.abs(), tolerance, "within");
        let cross = cross(&"gaussian:sigma=1".parse().unwrap(), &x, Some(&w), &x, Some(&w), precision).unwrap();
        close(cross, right + found.diagonal, right.abs(), tolerance, "cross");
    }
}

#[test]
fn single_precision_holds_for_many_tiles_and_large_dimensions() {
    for text in ["linear", "gaussian:sigma=40", "rq:alpha=0.2,0.5,1,2,5", "laplacian:scale=30", "imq:c=0.7", "energy"] {
        let kernel: Kernel = text.parse().unwrap();
        check(&kernel, &sample(290, 700, 0), &sample(270, 700, 1), Precision::F32, 5e-5);
    }
}
