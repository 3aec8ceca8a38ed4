//! The random-feature form: exact merging, algebra, the file.

use std::fs;

use kme::rng;
use kme::{
    Data, Embedding, EmbeddingKind, Error, FeatureIdentity, MeanEmbedding, Points, Precision, RandomFeatures, Waves,
};
use rand::RngExt;
use rand::seq::SliceRandom;

fn map(seed: u64) -> RandomFeatures {
    RandomFeatures::new(3, 6, 1.0, Waves::Paired, seed).unwrap()
}

fn embed(points: &Points) -> MeanEmbedding {
    MeanEmbedding::of(points, &map(4)).unwrap().with_seed(Some(1))
}

fn points(n: usize, seed: u64) -> Points {
    let mut rng = rng::stream(seed, "points", 0);
    Points::new(n, 3, Data::F64((0..n * 3).map(|_| rng.random::<f64>() * 4.0 - 2.0).collect())).unwrap()
}

fn bytes(embedding: &MeanEmbedding) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.kme");
    embedding.write(&path).unwrap();
    assert_eq!(&MeanEmbedding::read(&path).unwrap(), embedding);
    fs::read(path).unwrap()
}

#[test]
fn merging_any_shards_in_any_order_is_embedding_the_whole_bit_for_bit() {
    for seed in 0..20 {
        let all = points(50, seed);
        let mut rng = rng::stream(seed, "shards", 0);
        let mut items: Vec<usize> = (0..50).collect();
        items.shuffle(&mut rng);
        let parts: Vec<MeanEmbedding> = items.chunks(8).map(|c| embed(&all.select(c).unwrap())).collect();
        assert_eq!(parts.len(), 7);
        let whole = bytes(&embed(&all));
        assert_eq!(bytes(&MeanEmbedding::merge(&parts.iter().collect::<Vec<_>>()).unwrap()), whole);
        let nested = parts.iter().rev().cloned().reduce(|a, b| MeanEmbedding::merge(&[&b, &a]).unwrap()).unwrap();
        assert_eq!(bytes(&nested), whole);
    }
}

#[test]
fn means_are_means_and_algebra_is_linear() {
    let (x, y) = (points(40, 1), points(30, 2));
    let (a, b) = (embed(&x), embed(&y));
    for (points, e) in [(&x, &a), (&y, &b)] {
        assert_eq!(e.random_features().unwrap(), map(4));
        let z = map(4).map(points).unwrap();
        for (c, m) in e.mean().iter().enumerate() {
            let sum: f64 = (0..points.len()).map(|i| z.data().get(6 * i + c)).sum();
            assert!((m - sum / points.len() as f64).abs() < 1e-15);
        }
        assert_eq!((e.len(), e.kernel().to_string().as_str()), (points.len() as u64, "gaussian:sigma=1"));
    }
    // μ(y) is the mean of ⟨ẑ(xᵢ), ẑ(y)⟩.
    let at = points(2, 3);
    let (zx, zy) = (map(4).map(&x).unwrap(), map(4).map(&at).unwrap());
    let product = |i: usize, j: usize| (0..6).map(|l| zx.data().get(6 * i + l) * zy.data().get(6 * j + l)).sum::<f64>();
    for (j, value) in a.value(&at).unwrap().into_iter().enumerate() {
        assert!((value - (0..40).map(|i| product(i, j)).sum::<f64>() / 40.0).abs() < 1e-15);
    }
    let c = MeanEmbedding::combine(&[(1.0, &a), (-1.0, &b)]).unwrap();
    assert_eq!((c.kind(), c.len()), (EmbeddingKind::Combination, 70));
    let expected = a.inner(&a).unwrap() + b.inner(&b).unwrap() - 2.0 * a.inner(&b).unwrap();
    assert!((a.mmd2(&b).unwrap() - expected).abs() < 1e-15);
    assert!((c.inner(&c).unwrap() - expected).abs() < 1e-15);
    assert_eq!(a.mmd2(&a).unwrap(), 0.0);
    let terms = [(0.1, &a), (0.2, &b), (0.3, &c)];
    let other = [terms[2], terms[0], terms[1]];
    assert_eq!(bytes(&MeanEmbedding::combine(&terms).unwrap()), bytes(&MeanEmbedding::combine(&other).unwrap()));
    assert!(matches!(MeanEmbedding::merge(&[&a, &c]), Err(Error::Unsupported { .. })));
    assert!(matches!(MeanEmbedding::combine(&[(f64::INFINITY, &a)]), Err(Error::NotFinite { .. })));
}

#[test]
fn many_features_approximate_the_embedding_by_points() {
    let random = RandomFeatures::new(3, 20_000, 1.0, Waves::Paired, 0).unwrap();
    let features = FeatureIdentity::identity;
    let exact = |p: Points| Embedding::of(&p, "gaussian:sigma=1".parse().unwrap()).unwrap().with_features(features());
    let (x, y) = (points(40, 1), points(30, 2));
    let approximate = |p: &Points| MeanEmbedding::of(p, &random).unwrap().with_features(features());
    let found = approximate(&x).mmd2(&approximate(&y)).unwrap();
    let expected = exact(x).mmd2(&exact(y), Precision::F64).unwrap();
    // The error of each inner product is below 1/√s, that of their means smaller.
    assert!((found - expected).abs() < 0.007, "{found} against {expected}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let a = embed(&points(3, 1));
    let other = MeanEmbedding::of(&points(3, 1), &map(5)).unwrap();
    match MeanEmbedding::merge(&[&a, &other]) {
        Err(Error::Mismatch { field, left, .. }) => {
            assert_eq!(
                (&field.to_string()[..], left.as_str()),
                ("random features", "6 paired of dimension 3 with seed 4")
            );
        }
        other => panic!("{other:?}"),
    }
    let plane = Points::new(1, 2, Data::F64(vec![1.0; 2])).unwrap();
    assert!(MeanEmbedding::of(&plane, &map(4)).is_err());
    assert!(matches!(a.value(&plane), Err(Error::Mismatch { .. })));
}

#[test]
fn damaged_files_are_faults_of_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.kme");
    let whole = bytes(&embed(&points(3, 1)));
    let put = |bytes: &[u8]| {
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
    };
    let named = |error: Error| assert_eq!(error.file_path(), Some(&*path), "{error}");
    for length in 0..whole.len() {
        put(&whole[..length]);
        named(MeanEmbedding::read(&path).unwrap_err());
    }
    for at in 0..whole.len() {
        for change in [0x01, 0x10, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            put(&bytes);
            if let Err(e) = MeanEmbedding::read(&path) {
                named(e);
            }
        }
    }
    // The least 128-bit integer, whose magnitude is none, as the first sum, and the mean that would follow.
    let mut bytes = whole.clone();
    let (mean, sums) = (whole.len() - 8 * (6 + 18), whole.len() - 8 * 18);
    let mut set = |at: usize, number: f64| bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    set(mean, -(2.0_f64.powi(63)) / 3.0);
    set(sums, -(2.0_f64.powi(62)));
    set(sums + 8, -(2.0_f64.powi(62)));
    set(sums + 16, 0.0);
    put(&bytes);
    let text = MeanEmbedding::read(&path).unwrap_err().to_string();
    assert!(text.contains("2^62"), "{text}");
    put(&whole);
    let text = Embedding::read(&path).unwrap_err().to_string();
    assert!(text.contains("form 'mean'; here form 'points' is needed"), "{text}");
    assert!(Embedding::is_file(&path));
}
