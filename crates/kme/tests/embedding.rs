//! Embeddings: merging, algebra, the file, and files made to do harm.

use std::fs;
use std::path::Path;

use kme::rng;
use kme::{Data, Embedding, EmbeddingKind, Error, Expression, FeatureIdentity, Field, Kernel, Points, Sample, Shard};
use rand::RngExt;
use rand::seq::SliceRandom;

fn kernel(text: &str) -> Kernel {
    text.parse().unwrap()
}

fn embed(points: Points, masses: Option<Vec<f64>>) -> Embedding {
    let features = FeatureIdentity {
        name: "net/layer".into(),
        protocol: "32×32, antialiased, [−1, 1]".into(),
        sha256: Some("ab".repeat(32)),
    };
    Embedding::of(Sample { points: points.view(), weights: masses.as_deref() }, kernel("gaussian:sigma=2,5+0.1*linear"))
        .unwrap()
        .with_features(features)
        .with_seed(Some(7))
}

/// n points of dimension d on a coarse grid, so that rows repeat and begin alike.
fn grid(n: usize, d: usize, seed: u64, wide: bool) -> Points {
    let mut rng = rng::stream(seed, "grid", 0);
    let numbers = (0..n * d).map(|_| f64::from(rng.random_range(-2_i8..=2)) * 0.3);
    let data = if wide { Data::F64(numbers.collect()) } else { Data::F32(numbers.map(|x| x as f32).collect()) };
    Points::new(n, d, data).unwrap()
}

fn bytes(embedding: &Embedding) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.kme");
    embedding.write(&path).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn merging_any_shards_in_any_order_is_embedding_the_whole_bit_for_bit() {
    for seed in 0..20 {
        let mut rng = rng::stream(seed, "shards", 0);
        let n = rng.random_range(7..60);
        let points = grid(n, 3, seed, seed % 2 == 0);
        let masses = (seed % 4 < 2).then(|| (0..n).map(|_| rng.random::<f64>().powi(9)).collect::<Vec<_>>());
        let part = |items: &[usize]| {
            embed(points.select(items).unwrap(), masses.as_ref().map(|m| items.iter().map(|&i| m[i]).collect()))
        };
        let whole = part(&(0..n).collect::<Vec<_>>());
        // Seven random, not empty shards.
        let mut items: Vec<usize> = (0..n).collect();
        items.shuffle(&mut rng);
        let mut shards: Vec<Vec<usize>> = items[..7].iter().map(|&i| vec![i]).collect();
        items[7..].iter().for_each(|&i| shards[rng.random_range(0..7)].push(i));
        let parts: Vec<Embedding> = shards.iter().map(|s| part(s)).collect();
        let refs: Vec<&Embedding> = parts.iter().collect();
        let merged = Embedding::merge(&refs).unwrap();
        assert_eq!(merged, whole);
        assert_eq!(bytes(&merged), bytes(&whole));
        // In pairs, from the other end.
        let nested = parts.iter().rev().cloned().reduce(|a, b| Embedding::merge(&[&a, &b]).unwrap()).unwrap();
        assert_eq!(bytes(&nested), bytes(&whole));
        // And by the shards of the command line.
        let run = |i| Shard::new(i, 7).unwrap().items(n).unwrap().collect::<Vec<_>>();
        let runs: Vec<Embedding> = (1..=7).map(|i| part(&run(i))).collect();
        let merged = Embedding::merge(&runs.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(bytes(&merged), bytes(&whole));
    }
}

#[test]
fn masses_of_one_are_no_masses_and_precision_is_promoted() {
    let (narrow, wide) = (grid(9, 2, 1, false), grid(5, 2, 2, true));
    assert_eq!(embed(narrow.clone(), Some(vec![1.0; 9])), embed(narrow.clone(), None));
    assert!(
        embed(narrow.clone(), None).masses().is_none() && embed(wide.clone(), Some(vec![2.0; 5])).masses().is_some()
    );
    let merged = Embedding::merge(&[&embed(narrow.clone(), None), &embed(wide.clone(), Some(vec![2.0; 5]))]).unwrap();
    let joined = Points::concat(&[&wide, &narrow]).unwrap();
    assert!(matches!(joined.data(), Data::F64(_)));
    assert_eq!(merged, embed(joined, Some([vec![2.0; 5], vec![1.0; 9]].concat())));
    let total: f64 = merged.weights().iter().sum();
    assert!((total - 1.0).abs() < 1e-14);
}

#[test]
fn points_of_mass_zero_are_no_part_of_a_sample() {
    let points = grid(9, 2, 1, true);
    let masses = [2.0, 0.0, 1.0, -0.0, 3.0, 0.0, 0.0, 0.0, 0.0];
    let part = |items: std::ops::Range<usize>| {
        let own = points.select(&items.clone().collect::<Vec<_>>()).unwrap();
        Embedding::of(Sample { points: own.view(), weights: Some(&masses[items]) }, kernel("energy"))
    };
    let whole = part(0..9).unwrap();
    assert_eq!((whole.len(), whole.weights().iter().sum::<f64>()), (3, 1.0));
    // The last part has no mass, so it is no sample; without it the whole is the same.
    assert!(matches!(part(6..9), Err(Error::Value { .. })));
    let merged = Embedding::merge(&[&part(3..6).unwrap(), &part(0..3).unwrap()]).unwrap();
    assert_eq!(bytes(&merged), bytes(&whole));
    let ones =
        Embedding::of(Sample { points: grid(3, 2, 1, true).view(), weights: Some(&[1.0, 0.0, 1.0]) }, kernel("energy"));
    assert!(ones.unwrap().masses().is_none());
}

#[test]
fn seeds_are_kept_when_they_agree() {
    let with = |seed| Embedding::of(&grid(3, 1, 0, true), kernel("linear")).unwrap().with_seed(seed);
    let merged = |seeds: &[Option<u64>]| {
        let parts: Vec<Embedding> = seeds.iter().map(|&s| with(s)).collect();
        Embedding::merge(&parts.iter().collect::<Vec<_>>()).unwrap().seed()
    };
    assert_eq!(merged(&[Some(3), Some(3)]), Some(3));
    assert_eq!(merged(&[Some(3), Some(4)]), None);
    assert_eq!(merged(&[None, Some(4)]), None);
}

#[test]
fn algebra_weighs_the_points_and_does_not_depend_on_the_order_of_terms() {
    let (a, b) = (embed(grid(4, 2, 1, false), None), embed(grid(3, 2, 2, true), Some(vec![1.0, 2.0, 5.0])));
    let ab = Embedding::combine(&[(0.75, &a), (-2.0, &b)]).unwrap();
    assert_eq!((ab.kind(), ab.len()), (EmbeddingKind::Combination, 7));
    assert_eq!(bytes(&ab), bytes(&Embedding::combine(&[(-2.0, &b), (0.75, &a)]).unwrap()));
    // Whatever a function f, Σ wᵢ f(xᵢ) is linear.
    let mean = |e: &Embedding| {
        let f = |i: usize| e.points().data().get(2 * i).sin() + e.points().data().get(2 * i + 1).exp();
        e.weights().iter().enumerate().map(|(i, w)| w * f(i)).sum::<f64>()
    };
    assert!((mean(&ab) - (0.75 * mean(&a) - 2.0 * mean(&b))).abs() < 1e-13);

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    a.write(path("a.kme")).unwrap();
    b.write(path("b-1 +.kme")).unwrap();
    let text = format!("0.75*{} - 2*'{}'", path("a.kme").display(), path("b-1 +.kme").display());
    assert_eq!(Expression::parse(&text).unwrap().read().unwrap(), ab);
    let alone = |text: String| Expression::parse(&text).unwrap().read().unwrap();
    assert_eq!(alone(format!("{}", path("b-1 +.kme").display())), b);
    assert_eq!(alone(format!("1*{}", path("a.kme").display())), a);
    assert_eq!(alone(format!("2*{}", path("a.kme").display())).kind(), EmbeddingKind::Combination);
    let missing = Expression::parse("0.5*no-such.kme + a.kme").unwrap().read().unwrap_err();
    assert!(matches!(&missing, Error::Io { path, .. } if path == Path::new("no-such.kme")), "{missing}");
}

#[test]
fn what_does_not_fit_is_refused_and_the_field_named() {
    let points = grid(4, 2, 1, false);
    let make = |points: &Points, k: &str, change: &dyn Fn(&mut FeatureIdentity)| {
        let mut features = FeatureIdentity { sha256: Some("00".into()), ..FeatureIdentity::identity() };
        change(&mut features);
        Embedding::of(points, kernel(k)).unwrap().with_features(features)
    };
    let base = make(&points, "linear", &|_| ());
    for (field, other) in [
        (Field::Kernel, make(&points, "gaussian:sigma=1", &|_| ())),
        (Field::FeatureMap, make(&points, "linear", &|f| f.name = "net".into())),
        (Field::FeatureWeights, make(&points, "linear", &|f| f.sha256 = None)),
        (Field::Preprocessing, make(&points, "linear", &|f| f.protocol = "resize".into())),
        (Field::Dimension, make(&grid(4, 3, 1, false), "linear", &|_| ())),
    ] {
        for result in [Embedding::merge(&[&base, &base, &other]), Embedding::combine(&[(1.0, &base), (2.0, &other)])] {
            match result {
                Err(Error::Mismatch { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
    let combination = Embedding::combine(&[(1.0, &base)]).unwrap();
    let error = Embedding::merge(&[&base, &combination]).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "cannot merge embedding 2: it is a combination, and only samples can be pooled; use algebra (a + b)"
    );
    for none in [Embedding::merge(&[]), Embedding::combine(&[])] {
        assert!(matches!(none, Err(Error::TooFew { given: 0, least: 1, .. })));
    }
    assert!(matches!(Embedding::combine(&[(f64::NAN, &base)]), Err(Error::NotFinite { .. })));
    let sample =
        |masses: Vec<f64>| Embedding::of(Sample { points: points.view(), weights: Some(&masses) }, kernel("linear"));
    assert!(matches!(sample(vec![1.0; 3]), Err(Error::Mismatch { field: Field::Count(_), .. })));
    for masses in [vec![1.0, 1.0, 1.0, -1.0], vec![f64::NAN; 4], vec![0.0; 4], vec![f64::MAX; 4]] {
        assert!(matches!(sample(masses), Err(Error::Value { .. })));
    }
}

#[test]
fn files_are_read_back_bit_for_bit_and_depend_on_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.kme");
    for wide in [false, true] {
        let sample = embed(grid(6, 3, 5, wide), None);
        let weighted = embed(grid(6, 3, 5, wide), Some(vec![0.1, 0.2, 3.0, 1e-9, 1e9, 1.0]));
        let combination = Embedding::combine(&[(0.3, &sample), (-0.7, &weighted)]).unwrap();
        for embedding in [sample, weighted, combination] {
            embedding.write(&path).unwrap();
            assert!(Embedding::is_file(&path));
            let back = Embedding::read(&path).unwrap();
            assert_eq!(back, embedding);
            assert_eq!(bytes(&back), fs::read(&path).unwrap());
        }
    }
    // An .npy file, a folder and nothing at all are no embeddings.
    grid(3, 2, 1, true).write(folder.path().join("x.npy")).unwrap();
    assert!(!Embedding::is_file(folder.path().join("x.npy")) && !Embedding::is_file(folder.path()));
    // The format's own library reads the container.
    let bytes = fs::read(&path).unwrap();
    let container = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(container.tensor("points").unwrap().shape(), [12, 3]);
}

#[test]
fn a_file_of_another_program_may_have_its_rows_in_any_order() {
    use safetensors::tensor::{Dtype, TensorView};
    let header = r#"{"seed": null, "n": 3, "d": 1, "dtype": "f64", "kind": "sample", "kernel": "linear", "version": "by hand",
        "features": {"name": "identity", "sha256": null, "protocol": ""}, "format": 1, "form": "points"}"#;
    let bytes = |numbers: [f64; 3]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let (points, weights) = (bytes([3.0, 1.0, 2.0]), bytes([1.0 / 3.0 + 1e-12; 3]));
    let tensors = [
        ("points", TensorView::new(Dtype::F64, vec![3, 1], &points).unwrap()),
        ("weights", TensorView::new(Dtype::F64, vec![3], &weights).unwrap()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.kme");
    let metadata = std::collections::HashMap::from([("kme".to_string(), header.to_string())]);
    safetensors::serialize_to_file(tensors, Some(metadata), &path).unwrap();
    let points = Points::new(3, 1, Data::F64(vec![1.0, 2.0, 3.0])).unwrap();
    let expected = Embedding::of(&points, kernel("linear")).unwrap();
    assert_eq!(Embedding::read(&path).unwrap(), expected);
}

fn fault(path: &Path, bytes: &[u8]) -> String {
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
    let error = Embedding::read(path).expect_err("a damaged file was read");
    assert_eq!(error.file_path(), Some(path), "{error}");
    error.problem()
}

#[test]
fn truncated_and_altered_files_are_faults_of_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.kme");
    let whole = bytes(&embed(grid(4, 2, 3, false), Some(vec![1.0, 2.0, 3.0, 4.0])));
    for length in 0..whole.len() {
        fault(&path, &whole[..length]);
    }
    for at in 0..whole.len() {
        for change in [0x01, 0x10, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            let _ = fs::remove_file(&path);
            fs::write(&path, bytes).unwrap();
            // Some changes give another valid embedding: another seed, another number.
            if let Err(e) = Embedding::read(&path) {
                assert_eq!(e.file_path(), Some(&*path), "{e}");
            }
        }
    }
    assert!(fault(&path, &[&whole[..], &[0]].concat()).contains("bytes after its end"));
}

#[test]
fn headers_that_lie_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.kme");
    let whole = bytes(&embed(grid(4, 2, 3, false), Some(vec![1.0, 2.0, 3.0, 4.0])));
    let header_end = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&whole[8..header_end]).unwrap().trim_end();
    let with = |from: &str, to: &str| {
        assert!(header.contains(from), "{header}");
        let header = header.replacen(from, to, 1);
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &whole[header_end..]].concat()
    };
    for (from, to, part) in [
        (r#"\"format\":1"#, r#"\"format\":2"#, "format version 2; this is kme"),
        (r#"\"format\":1"#, r#"\"format\":0"#, "embed again"),
        (r#"\"format\":1,"#, "", "missing field `format`"),
        (r#"\"format\":1"#, r#"\"format\":\"one\""#, "not understood"),
        (r#"\"form\":\"points\""#, r#"\"form\":\"mean\""#, "form 'mean'; here form 'points' is needed"),
        (r#"\"dtype\":\"f32\""#, r#"\"dtype\":\"f16\""#, "f32 and f64 are read"),
        (r#"\"n\":4"#, r#"\"n\":5"#, "by its header it should be F32 of shape (5, 2)"),
        (r#"\"n\":4"#, r#"\"n\":18446744073709551615"#, "of shape (18446744073709551615, 2)"),
        (r#"\"n\":4"#, r#"\"n\":-4"#, "not understood"),
        (r#"\"d\":2"#, r#"\"d\":3"#, "by its header it should be F32 of shape (4, 3)"),
        (
            r#"\"dtype\":\"f32\""#,
            r#"\"dtype\":\"f64\""#,
            "'points' is F32 of shape (4, 2); by its header it should be F64",
        ),
        ("gaussian:", "gauss:", "its kernel is not understood"),
        (r#"\"kind\":\"sample\""#, r#"\"kind\":\"combination\""#, "'masses', which an embedding of its form and kind"),
        (r#"\"kind\":\"sample\""#, r#"\"kind\":\"other\""#, "unknown variant"),
        (r#"\"seed\":7"#, r#"\"seed\":7,\"more\":1"#, "unknown field"),
        (r#"{"kme":"#, r#"{"other":"#, "not an embedding"),
        (r#""weights":"#, r#""waits":"#, "holds a tensor 'waits'"),
        (r#""shape":[4,2]"#, r#""shape":[8]"#, "its 'points' is F32 of shape (8,)"),
        (r#""dtype":"F32""#, r#""dtype":"I32""#, "its 'points' is I32"),
        (r#""shape":[4,2]"#, r#""shape":[4611686018427387904,4]"#, "not understood"),
    ] {
        let text = fault(&path, &with(from, to));
        assert!(text.contains(part), "{to}: {text}");
    }
    // Numbers: weights, masses, points.
    for (at, number, part) in [
        (0, 0.5_f64.to_le_bytes().to_vec(), "weight 0 is 0.5, but by its mass it should be"),
        (8, f64::NAN.to_le_bytes().to_vec(), "weight 1 is NaN"),
        (32, (-1.0_f64).to_le_bytes().to_vec(), "weight 0"),
        (64 + 12, f32::INFINITY.to_le_bytes().to_vec(), "points[1, 1] is inf"),
    ] {
        let mut bytes = whole.clone();
        bytes[header_end + at..][..number.len()].copy_from_slice(&number);
        let text = fault(&path, &bytes);
        assert!(text.contains(part), "{part}: {text}");
    }
}
