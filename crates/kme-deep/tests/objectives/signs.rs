//! Who raises what: the signs of the terms, and what the penalties break or do not.

use crate::cases::{Body, cases, mmd};
use crate::naive::{Definition, Row, mmd2};
use crate::setup::{Setup, normals, number};
use burn::tensor::Tensor;
use kme::Kernel;
use kme_deep::loss::{
    Divergence, Estimator, Features, Mmd, Objective, Pictures, Regulariser, asymmetric_penalty, mean_covariance,
    mmd2_biased, mmd2_unbiased, order_term, witness_gradient,
};
use kme_net::layer::{BatchNorm, LeakyRelu, Linear};
use kme_net::{Init, Mode, Net, Place, place};
use kme_testing::eigenvalues;
use std::sync::Arc;

fn matrix(rows: &[Row]) -> Tensor<2> {
    Place::cpu_f64().tensor_f64(rows.concat(), [rows.len(), rows[0].len()])
}

fn samples(rows: &[Row]) -> Tensor<4> {
    matrix(rows).reshape([rows.len(), rows[0].len(), 1, 1])
}

/// A critic of points whose features are the points.
fn identity(d: usize) -> Net {
    let place = Place::cpu_f64();
    let net = Net::new(vec![Linear { inputs: d, outputs: d, bias: false }.into()], [d, 1, 1], Init::He, 0, &place);
    net.unwrap().map_values(|_| {
        place.tensor_f64((0..d * d).map(|i| if i % (d + 1) == 0 { 1.0 } else { 0.0 }).collect(), [d * d])
    })
}

fn gaussian() -> Arc<dyn Divergence> {
    Arc::new(Mmd::new("gaussian:sigma=1".parse().unwrap(), Estimator::Unbiased))
}

fn plain(divergence: Arc<dyn Divergence>) -> Objective {
    Objective { divergence, regulariser: Regulariser::default() }
}

fn pictures(real: Tensor<4>, fake: Tensor<4>) -> Pictures {
    Pictures { real, fake, second: None, labels: None, mix: None }
}

/// Two real and two generated points between which the Gaussian kernel of width 1 is `xx`, `yy` and (all four) `xy`.
fn placed(xx: f64, yy: f64, xy: f64) -> [Vec<Row>; 2] {
    let half = |k: f64| (-2.0 * f64::ln(k)).sqrt() / 2.0;
    let (a, b) = (half(xx), half(yy));
    let t = (-2.0 * xy.ln() - a * a - b * b).sqrt();
    [vec![vec![0.0, a, 0.0], vec![0.0, -a, 0.0]], vec![vec![t, 0.0, b], vec![t, 0.0, -b]]]
}

/// The critic raises k_xx and k_yy and lowers k_xy; the generator raises k_xy and lowers k_yy; k_xx is not its
/// business. (The thesis's §3.2.4 has these the other way round.)
#[test]
fn the_three_terms_of_mmd2_have_their_signs() {
    let (objective, critic) = (plain(gaussian()), identity(3));
    let losses = |xx: f64, yy: f64, xy: f64| {
        let [x, y] = placed(xx, yy, xy).map(|rows| samples(&rows));
        let pictures = pictures(x, y);
        let critic_loss = objective.critic(&critic, None, &pictures).unwrap().loss;
        [critic_loss, objective.generator(&critic, &pictures).unwrap().loss].map(number)
    };
    let [d0, g0] = losses(0.6, 0.5, 0.1);
    for (change, slope) in [([0.05, 0.0, 0.0], 1.0), ([0.0, 0.05, 0.0], 1.0), ([0.0, 0.0, 0.05], -2.0)] {
        let [d, g] = losses(0.6 + change[0], 0.5 + change[1], 0.1 + change[2]);
        assert!((d - d0 + 0.05 * slope).abs() < 1e-12, "critic: {change:?} changes its loss by {}", d - d0);
        assert!((g - g0 - 0.05 * slope).abs() < 1e-12, "generator: {change:?} changes its loss by {}", g - g0);
    }
    // What reaches generated points is the slope of k_yy − 2 k_xy alone, whatever k_xx is.
    for xx in [0.3, 0.9] {
        let [x, y] = placed(xx, 0.5, 0.05);
        let leaf = samples(&y).autodiff().require_grad();
        let loss = objective.generator(&critic, &pictures(samples(&x), leaf.clone())).unwrap().loss;
        let gradient = place::numbers(leaf.grad(&loss.backward()).unwrap());
        let k = |p: &[f64], q: &[f64]| (-0.5 * p.iter().zip(q).map(|(a, b)| (a - b).powi(2)).sum::<f64>()).exp();
        let own =
            |y: &[Row]| k(&y[0], &y[1]) - 0.5 * x.iter().flat_map(|p| y.iter().map(move |q| k(p, q))).sum::<f64>();
        for i in 0..6 {
            let at = |delta: f64| {
                let mut y = y.clone();
                y[i / 3][i % 3] += delta;
                own(&y)
            };
            let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((gradient[i] - difference).abs() < 1e-9, "{i}: {} and {difference}", gradient[i]);
        }
        // Diversity: along the third axis, which only k_yy pulls on to speak of, going down drives the two apart.
        assert!(gradient[2] < 0.0 && gradient[5] > 0.0, "{gradient:?}");
        // And along the first they go down towards the real ones.
        assert!(gradient[0] > 0.0 && gradient[3] > 0.0, "{gradient:?}");
    }
}

/// The critic with its sign turned.
fn turned(critic: &Net) -> Net {
    let last = critic.params().len() - 2;
    let mut index = 0;
    critic.map_values(|p| {
        index += 1;
        if index > last { p.value.clone().neg() } else { p.value.clone() }
    })
}

/// MMD² with the linear kernel does not see the critic's sign; the asymmetric penalty does, and it alone.
#[test]
fn the_asymmetric_penalty_breaks_the_symmetry() {
    for body in [Body::Leaky, Body::Points] {
        let mut setup = Setup::new(&mmd("linear", Estimator::Biased, body));
        setup.objective.regulariser.asymmetric = 3.0;
        let pictures = setup.pictures(&setup.generator);
        let parts = |critic: &Net| {
            let terms = setup.objective.critic(critic, None, &pictures).unwrap();
            let part = |name: &str| number(terms.parts.iter().find(|(n, _)| *n == name).unwrap().1.clone());
            [part("critic_mmd2"), part("asymmetric_penalty"), number(terms.loss.clone())]
        };
        let [as_is, opposite] = [parts(&setup.critic), parts(&turned(&setup.critic))];
        assert!((as_is[0] - opposite[0]).abs() < 1e-13, "{as_is:?} {opposite:?}");
        assert!((as_is[1] - opposite[1]).abs() > 1e-3, "{as_is:?} {opposite:?}");
        // With the linear kernel MMD² is ‖δ‖², and each component of δ is below 0 in one of the two.
        assert!((as_is[1] + opposite[1] - as_is[0]).abs() < 1e-12, "{as_is:?} {opposite:?}");
        for [value, penalty, loss] in [as_is, opposite] {
            assert!((loss - (3.0 * penalty - value)).abs() < 1e-12);
        }
        // The generator does not see it.
        let with = number(setup.objective.generator(&setup.critic, &pictures).unwrap().loss);
        let without = plain(setup.objective.divergence.clone());
        assert_eq!(with, number(without.generator(&setup.critic, &pictures).unwrap().loss));
    }
}

/// Features with these gaps δ between the means of 4 real and 5 generated ones.
fn with_gap(gaps: &[f64]) -> [Vec<Row>; 2] {
    let d = gaps.len();
    let noise = |n: usize, purpose: &str| -> Vec<Row> {
        let mut rows: Vec<Row> = normals(n * d, purpose).chunks(d).map(<[f64]>::to_vec).collect();
        for j in 0..d {
            let mean = rows.iter().map(|r| r[j]).sum::<f64>() / n as f64;
            rows.iter_mut().for_each(|r| r[j] -= mean);
        }
        rows
    };
    let mut real = noise(4, "gap real");
    real.iter_mut().for_each(|r| r.iter_mut().zip(gaps).for_each(|(v, g)| *v += g));
    [real, noise(5, "gap fake")]
}

/// The gradients in real and generated features of a function of both.
fn slopes(gaps: &[f64], f: impl Fn(&Features) -> Tensor<1>) -> (f64, [Vec<f64>; 2]) {
    let [real, fake] = with_gap(gaps).map(|rows| matrix(&rows).autodiff().require_grad());
    let value = f(&Features { real: real.clone(), fake: fake.clone(), second: None });
    let gradients = value.clone().backward();
    let of = |leaf: &Tensor<2>| leaf.grad(&gradients).map_or(vec![0.0; leaf.shape().num_elements()], place::numbers);
    (number(value), [of(&real), of(&fake)])
}

#[test]
fn the_asymmetric_penalty_is_a_square_below_zero() {
    let gaps = [-0.5, 0.3, -0.2];
    let (value, [real, fake]) = slopes(&gaps, asymmetric_penalty);
    assert!((value - 0.29).abs() < 1e-12, "{value}");
    // 2·min(δⱼ, 0), spread over the means.
    for (i, g) in real.iter().enumerate() {
        assert!((g - 2.0 * gaps[i % 3].min(0.0) / 4.0).abs() < 1e-12, "{i}: {g}");
    }
    for (i, g) in fake.iter().enumerate() {
        assert!((g + 2.0 * gaps[i % 3].min(0.0) / 5.0).abs() < 1e-12, "{i}: {g}");
    }
    let (value, [real, fake]) = slopes(&[0.5, 0.3, 0.2], asymmetric_penalty);
    assert_eq!(value, 0.0);
    assert!(real.iter().chain(&fake).all(|g| *g == 0.0));
}

/// Li et al.'s term: first power, mean over components, in both losses; on the generator it points away from the real
/// means where the thesis's penalty would pull back.
#[test]
fn the_order_term_is_in_both_losses_and_pushes_on() {
    let gaps = [-0.5, 0.3, -0.2];
    let (value, _) = slopes(&gaps, order_term);
    assert!((value + 0.7 / 3.0).abs() < 1e-12, "{value}");
    let (twice, _) = slopes(&[-1.0, 0.6, -0.4], order_term);
    assert!((twice - 2.0 * value).abs() < 1e-12, "first power: {value} and {twice}");
    assert_eq!(slopes(&[0.5, 0.3, 0.2], order_term).0, 0.0);

    let objective =
        |order: f64| Objective { divergence: gaussian(), regulariser: Regulariser { order, ..Regulariser::default() } };
    let generator =
        |order: f64| slopes(&gaps, |f| objective(order).generator_of(std::slice::from_ref(f), None).unwrap().loss);
    let (with, without) = (generator(16.0), generator(0.0));
    assert!((with.0 - without.0 - 16.0 * value).abs() < 1e-12);
    let back = slopes(&gaps, asymmetric_penalty).1[1].clone();
    for (i, (a, b)) in with.1[1].iter().zip(&without.1[1]).enumerate() {
        let expected = if gaps[i % 3] < 0.0 { -16.0 / (3.0 * 5.0) } else { 0.0 };
        assert!((a - b - expected).abs() < 1e-12, "{i}: {} and {expected}", a - b);
        assert!((a - b) * back[i] <= 0.0 && (gaps[i % 3] > 0.0 || back[i] > 0.0), "{i}: {} and {}", a - b, back[i]);
    }
    // The critic's loss has it with the other sign, and so keeps the order.
    let critic = |order: f64| {
        slopes(&gaps, |f| {
            let [real, fake] = [&f.real, &f.fake].map(|t| t.clone().reshape([t.dims()[0], 3, 1, 1]));
            objective(order).critic(&identity(3).tracked(), None, &pictures(real, fake)).unwrap().loss
        })
    };
    let (with, without) = (critic(16.0), critic(0.0));
    assert!((with.0 - without.0 + 16.0 * value).abs() < 1e-12);
    for (i, (a, b)) in with.1[1].iter().zip(&without.1[1]).enumerate() {
        let expected = if gaps[i % 3] < 0.0 { 16.0 / (3.0 * 5.0) } else { 0.0 };
        assert!((a - b - expected).abs() < 1e-12, "{i}: {} and {expected}", a - b);
    }
}

/// Unbiased means without the diagonal, for every summand: the published code leaves that of the linear summand in,
/// which adds E‖h‖²/(m−1) for either side.
#[test]
fn the_diagonal_is_left_out_for_every_summand() {
    let kernel = |text: &str| text.parse::<Kernel>().unwrap();
    let [rq, linear, both] = ["rq:alpha=0.1,1,10", "linear", "rq:alpha=0.1,1,10+linear"].map(kernel);
    let (m, d, draws) = (64, 16, 200);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for draw in 0..draws {
        let rows =
            |side: &str| normals(m * d, &format!("diagonal {side} {draw}")).chunks(d).map(<[f64]>::to_vec).collect();
        let [x, y]: [Vec<Row>; 2] = ["x", "y"].map(rows);
        let (a, b) = (matrix(&x), matrix(&y));
        let [one, other, value] = [&rq, &linear, &both].map(|k| number(mmd2_unbiased(k, &a, &b).unwrap()));
        assert!((one + other - value).abs() < 1e-12, "{one} + {other} is not {value}");
        let size = |rows: &[Row]| rows.iter().flatten().map(|v| v * v).sum::<f64>() / (m * (m - 1)) as f64;
        ours.push(value);
        theirs.push(value + size(&x) + size(&y));
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let sd = (ours.iter().map(|v| (v - mean(&ours)).powi(2)).sum::<f64>() / (draws - 1) as f64).sqrt();
    let error = sd / (draws as f64).sqrt();
    println!("P = Q: {:.4} ± {error:.4}; with the diagonal of the linear summand {:.4}", mean(&ours), mean(&theirs));
    assert!(mean(&ours).abs() < 3.0 * error);
    assert!((mean(&theirs) - 2.0 * 16.0 / 63.0).abs() < 3.0 * error);
}

/// MMD² under (⟨x,y⟩ + 1)² is the squared Frobenius distance of second moments plus twice that of means; McGan has the
/// same two parts under other norms.
#[test]
fn the_square_kernel_matches_means_and_second_moments() {
    let d = 4;
    let rows = |n: usize, p: &str| normals(n * d, p).chunks(d).map(<[f64]>::to_vec).collect::<Vec<Row>>();
    let (x, y) = (rows(7, "moments x"), rows(9, "moments y"));
    let (a, b) = (matrix(&x), matrix(&y));
    let kernel: Kernel = "poly:degree=2,gamma=1,coef=1".parse().unwrap();
    let value = number(mmd2_biased(&kernel, &a, &b));
    let means = number(mean_covariance(&a, &b, 2.0, 0).unwrap());
    let nuclear = number(mean_covariance(&a, &b, 2.0, d).unwrap()) - means;
    let second = |t: &[Row], i: usize, j: usize| t.iter().map(|r| r[i] * r[j]).sum::<f64>() / t.len() as f64;
    let matrix = (0..d).map(|i| (0..d).map(|j| second(&x, i, j) - second(&y, i, j)).collect()).collect();
    let values = eigenvalues(matrix);
    let frobenius2: f64 = values.iter().map(|v| v * v).sum();
    assert!((value - (frobenius2 + 2.0 * means * means)).abs() < 1e-12, "{value}");
    assert!((nuclear - values.iter().map(|v| v.abs()).sum::<f64>()).abs() < 1e-12);
    assert!(frobenius2 < nuclear * nuclear && nuclear * nuclear < d as f64 * frobenius2, "{frobenius2} {nuclear}");
    let naive = mmd2(&|p, q| (p.iter().zip(q).map(|(a, b)| a * b).sum::<f64>() + 1.0).powi(2), &x, &y, false);
    assert!((value - naive).abs() < 1e-12);
}

/// Where only the divergence and its scale count, the game is zero-sum to the last bit; penalties are the critic's
/// alone.
#[test]
fn the_scaled_game_is_zero_sum() {
    let mut tried = 0;
    for case in cases() {
        let mut setup = Setup::new(&case);
        let r = &mut setup.objective.regulariser;
        (r.gradient_penalty, r.activation_penalty, r.asymmetric, r.reconstruction) = (0.0, 0.0, 0.0, 0.0);
        let scaled = r.scale.is_some();
        let of_generator = number(setup.generator_loss(&setup.generator));
        let of_critic = number(setup.critic_loss(&setup.critic, None));
        setup.objective.regulariser = case.regulariser.clone();
        assert_eq!(of_generator, number(setup.generator_loss(&setup.generator)), "{}", case.name);
        if scaled {
            assert_eq!(of_critic, -of_generator, "{}", case.name);
            tried += 1;
        } else if !matches!(case.definition, Definition::Cramer | Definition::Logistic) {
            assert!((of_critic + of_generator).abs() < 1e-12, "{}: {of_critic} and {of_generator}", case.name);
        }
    }
    assert!(tried > 15);
}

/// Of several layers the generator lowers the sum, of none there is no loss.
#[test]
fn layers_are_summed() {
    let features = |d: usize| {
        let rows = |purpose: &str| normals(5 * d, purpose).chunks(d).map(<[f64]>::to_vec).collect::<Vec<Row>>();
        Features { real: matrix(&rows("real")), fake: matrix(&rows("fake")), second: None }
    };
    let objective = Objective { divergence: gaussian(), regulariser: Regulariser { order: 2.0, ..Default::default() } };
    let loss = |features: &[Features]| objective.generator_of(features, None).map(|terms| number(terms.loss));
    let [one, other] = [2, 3].map(|d| loss(&[features(d)]).unwrap());
    let both = loss(&[features(2), features(3)]).unwrap();
    assert!((one + other - both).abs() < 1e-14 && one != 0.0 && other != 0.0, "{one} + {other} and {both}");
    assert!(matches!(loss(&[]), Err(kme::Error::TooFew { given: 0, .. })));
}

/// Statistics of batch normalisation are those of real or of generated samples alone, for the critic as for the generator.
#[test]
fn batch_normalisation_sees_either_kind_alone() {
    let layers = vec![
        BatchNorm::new(3).into(),
        LeakyRelu { slope: 0.2 }.into(),
        Linear { inputs: 3, outputs: 2, bias: true }.into(),
    ];
    let critic = Net::new(layers, [3, 1, 1], Init::He, 0, &Place::cpu_f64()).unwrap();
    let rows =
        |shift: f64, purpose| normals(18, purpose).chunks(3).map(|r| r.iter().map(|x| x + shift).collect()).collect();
    let [real, fake]: [Vec<Row>; 2] = [rows(0.0, "real"), rows(3.0, "fake")];
    let pictures = pictures(samples(&real), samples(&fake));
    let seen = |x: &Tensor<4>| number(critic.forward(x.clone(), Mode::Train).unwrap().mean());
    for activation_penalty in [0.0, 1.0] {
        let regulariser = Regulariser { activation_penalty, ..Regulariser::default() };
        let objective = Objective { divergence: gaussian(), regulariser };
        let terms = objective.critic(&critic, None, &pictures).unwrap();
        let part = |name: &str| number(terms.parts.iter().find(|(n, _)| *n == name).unwrap().1.clone());
        assert!((part("real_features") - seen(&pictures.real)).abs() < 1e-12);
        assert!((part("generated_features") - seen(&pictures.fake)).abs() < 1e-12);
        let generator = number(objective.generator(&critic, &pictures).unwrap().loss);
        assert!((part("critic_mmd2") - generator).abs() < 1e-12, "{} and {generator}", part("critic_mmd2"));
    }
}

/// The norm of a difference of means has its value and derivative for small and large entries and high powers.
#[test]
fn high_norms_keep_their_digits() {
    let place = Place::cpu();
    for (size, q) in [(1e-3, 8.0), (1e-6, 16.0), (1.0, 64.0), (30.0, 64.0), (1e-4, 2.0), (5.0, 3.0)] {
        let means: Vec<f64> = [0.3, -1.0, 0.8, 0.0].iter().map(|v| v * size).collect();
        let x = place.tensor(means.iter().map(|&v| v as f32).collect(), [1, 4]).autodiff().require_grad();
        let value = mean_covariance(&x, &place.zeros([1, 4]), q, 0).unwrap();
        let expected = means.iter().map(|v| (v / size).abs().powf(q)).sum::<f64>().powf(1.0 / q) * size;
        let gradient = place::numbers(x.grad(&value.backward()).unwrap());
        assert!((number(value) / expected - 1.0).abs() < 1e-5, "{size} {q}");
        for (found, v) in gradient.iter().zip(&means) {
            let expected = v.signum() * (v.abs() / expected).powf(q - 1.0);
            assert!(
                (found - if *v == 0.0 { 0.0 } else { expected }).abs() < 1e-5,
                "{size} {q}: {found} and {expected}"
            );
        }
    }
}

/// In single precision, far from the origin, the witness's gradient is that of the same points near it.
#[test]
fn the_witness_keeps_its_digits_far_from_the_origin() {
    let kernel: Kernel = "gaussian:sigma=1".parse().unwrap();
    let place = Place::cpu();
    let at = |shift: f32| {
        let [h, x, y] = ["h", "x", "y"].map(|name| {
            let numbers = normals(24, name).iter().map(|&v| (v * 64.0).round() as f32 / 64.0 + shift).collect();
            place.tensor(numbers, [8, 3])
        });
        place::numbers(witness_gradient(&kernel, &h, &x, &y))
    };
    let near = at(0.0);
    let far = at(4096.0);
    assert!(near.iter().zip(&far).all(|(a, b)| (a - b).abs() < 1e-4), "{near:?} {far:?}");
}
