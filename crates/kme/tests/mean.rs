//! The random-feature form: exact merging, algebra, the file.

use std::fs;

use kme::embedding::{FeatureIdentity, FrequencyIdentity, Kind, MeanEmbedding};
use kme::points::Data;
use kme::{Embedding, Error, Points, rng};
use rand::RngExt;
use rand::seq::SliceRandom;

const S: usize = 6;

fn frequencies() -> FrequencyIdentity {
    FrequencyIdentity { kind: "phase".into(), count: S, seed: 4 }
}

fn embed(values: &Points) -> MeanEmbedding {
    let kernel = "gaussian:sigma=1".parse().unwrap();
    MeanEmbedding::of_sample(values, kernel, FeatureIdentity::identity(), frequencies(), Some(1)).unwrap()
}

/// Values as cosines have them, with some of every magnitude down to the smallest.
fn values(n: usize, seed: u64) -> Points {
    let mut rng = rng::stream(seed, "values", 0);
    let numbers = (0..n * S).map(|_| (rng.random::<f64>() * 2.0 - 1.0) * 10_f64.powi(-rng.random_range(0..24)));
    Points::new(n, S, Data::F64(numbers.collect())).unwrap()
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
        let all = values(50, seed);
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
    let (x, y) = (values(40, 1), values(30, 2));
    let (a, b) = (embed(&x), embed(&y));
    for (points, e) in [(&x, &a), (&y, &b)] {
        for j in 0..S {
            let mean = (0..points.len()).map(|i| points.data().get(i * S + j)).sum::<f64>() / points.len() as f64;
            assert!((e.mean()[j] - mean).abs() < 1e-15);
        }
        assert_eq!(e.len(), points.len() as u64);
    }
    let c = MeanEmbedding::combine(&[(1.0, &a), (-1.0, &b)]).unwrap();
    assert_eq!((c.kind(), c.len()), (Kind::Combination, 70));
    let expected = a.inner(&a).unwrap() + b.inner(&b).unwrap() - 2.0 * a.inner(&b).unwrap();
    assert!((a.mmd2(&b).unwrap() - expected).abs() < 1e-15);
    assert!((c.inner(&c).unwrap() - expected).abs() < 1e-15);
    assert_eq!(a.mmd2(&a).unwrap(), 0.0);
    let terms = [(0.1, &a), (0.2, &b), (0.3, &c)];
    let other = [terms[2], terms[0], terms[1]];
    assert_eq!(bytes(&MeanEmbedding::combine(&terms).unwrap()), bytes(&MeanEmbedding::combine(&other).unwrap()));
    assert!(MeanEmbedding::merge(&[&a, &c]).unwrap_err().to_string().contains("embedding 2"));
    assert!(MeanEmbedding::combine(&[(f64::INFINITY, &a)]).is_err());
}

#[test]
fn what_does_not_fit_is_refused() {
    let a = embed(&values(3, 1));
    let with = |f: FrequencyIdentity| {
        let kernel = "gaussian:sigma=1".parse().unwrap();
        MeanEmbedding::of_sample(&values(3, 1), kernel, FeatureIdentity::identity(), f, None)
    };
    assert!(with(FrequencyIdentity { count: 5, ..frequencies() }).is_err());
    let other = with(FrequencyIdentity { seed: 5, ..frequencies() }).unwrap();
    match MeanEmbedding::merge(&[&a, &other]) {
        Err(Error::Mismatch { field, left, .. }) => {
            assert_eq!((field.as_str(), left.as_str()), ("random features", "6 phase with seed 4"));
        }
        other => panic!("{other:?}"),
    }
    let huge = Points::new(1, S, Data::F64(vec![1e7; S])).unwrap();
    let kernel = "gaussian:sigma=1".parse().unwrap();
    assert!(MeanEmbedding::of_sample(&huge, kernel, FeatureIdentity::identity(), frequencies(), None).is_err());
}

#[test]
fn damaged_files_are_faults_of_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.kme");
    let whole = bytes(&embed(&values(3, 1)));
    let put = |bytes: &[u8]| {
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
    };
    let named = |text: String| assert!(text.starts_with(&format!("{}: ", path.display())), "{text}");
    for length in 0..whole.len() {
        put(&whole[..length]);
        named(MeanEmbedding::read(&path).unwrap_err().to_string());
    }
    for at in 0..whole.len() {
        for change in [0x01, 0x10, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            put(&bytes);
            if let Err(e) = MeanEmbedding::read(&path) {
                named(e.to_string());
            }
        }
    }
    put(&whole);
    let text = Embedding::read(&path).unwrap_err().to_string();
    assert!(text.contains("form 'mean'; here form 'points' is needed"), "{text}");
    assert!(Embedding::is_file(&path));
}
