//! What is asked for in one request is what the parts give: defaults, choice of method, kernels of these points, cancelling.

use kme::{
    Error, Herding, Kernel, KernelSpec, MemorisationTest, Observer, Permutations, Points, Progress, Reduction,
    ReductionMethod, Support, Target, Thinning, ThreeSampleTest, TwoSampleFinding, TwoSampleMethod, TwoSampleTest,
    collection, median_distance,
};
use std::ops::ControlFlow;

/// n points on a wave in the plane.
fn wave(n: usize, shift: f64) -> Points {
    let row = |i: usize| [(1.7 * i as f64).sin() + shift, (2.3 * i as f64).cos()];
    Points::try_from((0..n).map(row).collect::<Vec<_>>()).unwrap()
}

fn of_median(samples: &[&Points]) -> Kernel {
    "gaussian:sigma=median".parse::<KernelSpec>().unwrap().resolve(2, || median_distance(samples)).unwrap()
}

#[test]
fn a_two_sample_test_is_chosen_by_size_and_kernels() {
    let by = |kernels: usize, n: usize| {
        let kernels = vec!["energy".parse().unwrap(); kernels];
        TwoSampleTest { kernels, ..TwoSampleTest::default() }.method_for(n, n)
    };
    assert_eq!([by(0, 4_000), by(2, 1_000_000)], [TwoSampleMethod::Aggregated; 2]);
    assert_eq!([by(0, 4_001), by(1, 10), by(1, 40_000)], [TwoSampleMethod::Permutation; 3]);
    assert_eq!(by(1, 40_001), TwoSampleMethod::Block);
    let asked = TwoSampleTest { method: Some(TwoSampleMethod::Linear), ..TwoSampleTest::default() };
    assert_eq!(asked.method_for(10, 10), TwoSampleMethod::Linear);
    for &(method, name) in TwoSampleMethod::ALL {
        assert_eq!((method.to_string().as_str(), name.parse::<TwoSampleMethod>().unwrap()), (name, method));
    }
}

#[test]
fn a_request_finds_what_its_parts_find() {
    let (x, y, z) = (wave(60, 0.0), wave(50, 0.7), wave(55, 2.0));
    let permutations = Permutations { count: 99, seed: 3, ..Permutations::default() };
    let asked = |method| TwoSampleTest { method: Some(method), permutations, ..TwoSampleTest::default() }.run(&x, &y);
    let kernel = of_median(&[&x, &y]);
    let estimator = kme::Estimator::Unbiased;
    let right = kme::two_sample(&kernel, &x, &y, estimator, &permutations).unwrap();
    assert_eq!(asked(TwoSampleMethod::Permutation).unwrap(), TwoSampleFinding::Permutation(right));
    let right = kme::aggregated(&collection(&x, &y).unwrap(), &x, &y, &permutations).unwrap();
    assert_eq!(asked(TwoSampleMethod::Aggregated).unwrap(), TwoSampleFinding::Aggregated(right));
    let blocks = kme::Blocks::usual(60, 50).unwrap();
    let right = kme::block(&kernel, &x, &y, blocks, &permutations).unwrap();
    assert_eq!(asked(TwoSampleMethod::Block).unwrap(), TwoSampleFinding::Block(right));
    let right = kme::linear(&kernel, &x, &y, &permutations).unwrap();
    assert_eq!(asked(TwoSampleMethod::Linear).unwrap(), TwoSampleFinding::Linear(right));
    let right = kme::three_sample(&Kernel::kid(2).unwrap(), &x, &y, &z, &permutations).unwrap();
    assert_eq!(ThreeSampleTest { permutations, ..ThreeSampleTest::default() }.run(&x, &y, &z).unwrap(), right);
    let right = kme::memorisation(&x, &y, &z, &permutations).unwrap();
    assert_eq!(MemorisationTest { permutations, ..MemorisationTest::default() }.run(&x, &y, &z).unwrap(), right);
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let refused = |test: TwoSampleTest| test.run(&wave(40, 0.0), &wave(40, 0.0)).unwrap_err();
    let default = TwoSampleTest::default;
    let two = vec!["energy".parse().unwrap(); 2];
    assert!(matches!(refused(TwoSampleTest { block_size: Some(4), ..default() }), Error::NotApplicable { .. }));
    assert!(matches!(
        refused(TwoSampleTest { estimator: Some(Default::default()), ..default() }),
        Error::NotApplicable { .. }
    ));
    let several = TwoSampleTest { kernels: two, method: Some(TwoSampleMethod::Linear), ..default() };
    assert_eq!(refused(several).parameter_name(), Some("kernel"));
    assert_eq!(refused(TwoSampleTest { alpha: 1.0, ..default() }).parameter_name(), Some("alpha"));
    let few = Permutations { count: 9, ..Permutations::default() };
    assert_eq!(refused(TwoSampleTest { permutations: few, ..default() }).parameter_name(), Some("permutations"));
}

/// Asks for a stop at once.
struct Impatient;

impl Observer for Impatient {
    fn progress(&self, _at: Progress) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[test]
fn whoever_watches_a_test_can_stop_it() {
    let (x, y) = (wave(900, 0.0), wave(900, 0.1));
    let permutations = Permutations { count: 99, observer: &Impatient, ..Permutations::default() };
    for method in [TwoSampleMethod::Aggregated, TwoSampleMethod::Permutation, TwoSampleMethod::Block] {
        let block_size = (method == TwoSampleMethod::Block).then_some(450);
        let test = TwoSampleTest { method: Some(method), block_size, permutations, ..TwoSampleTest::default() };
        assert!(matches!(test.run(&x, &y), Err(Error::Cancelled)), "{method}");
    }
    let test = ThreeSampleTest { permutations, ..ThreeSampleTest::default() };
    assert!(matches!(test.run(&x, &x, &y), Err(Error::Cancelled)));
}

#[test]
fn a_reduction_finds_what_its_method_finds() {
    let x = wave(200, 0.0);
    let kernel = of_median(&[&x]);
    let target = Target::new(&kernel, &x).unwrap();
    let herded = Reduction::new(9).run(&x).unwrap();
    assert_eq!((&herded.reduced, &herded.kernel), (&Herding::default().reduce(&target, 9).unwrap(), &kernel));
    assert_eq!(herded.random_subsets, target.random_subsets(9, 100, 0).unwrap());
    let thinning = Thinning { exchanges: 0, ..Thinning::default() };
    let found =
        Reduction { method: ReductionMethod::Thinning(thinning), seed: 5, ..Reduction::new(50) }.run(&x).unwrap();
    assert_eq!(found.reduced, thinning.reduce(&target, 50, 5).unwrap());
    assert_eq!(found.random_subsets.subsets, 20);
    let support = ReductionMethod::Support(Support::default());
    let found = Reduction { method: support, ..Reduction::new(5) }.run(&x).unwrap();
    assert_eq!(found.kernel.to_string(), "energy");
    assert!(found.reduced.indices.is_none() && support.moves_points());
    let linear = Reduction { method: support, kernel: Some("linear".parse().unwrap()), ..Reduction::new(5) };
    assert!(matches!(linear.run(&x), Err(Error::Unsupported { .. })));
    for name in ReductionMethod::NAMES {
        assert_eq!(name.parse::<ReductionMethod>().unwrap().to_string(), name);
    }
}
