//! Files of either form through one reader.

use kme::{AnyEmbedding, Data, Embedding, Error, Field, MeanEmbedding, Points, RandomFeatures, Waves};

#[test]
fn the_reader_finds_out_the_form_and_refuses_unknown_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.kme");
    let points = Points::new(3, 1, Data::F64(vec![0.0, 1.0, 3.0])).unwrap();
    let random = RandomFeatures::new(1, 8, 2.0, Waves::Paired, 1).unwrap();
    let mean = MeanEmbedding::of(&points, &random).unwrap();
    let kernel = "gaussian:sigma=2".parse().unwrap();
    let whole = Embedding::of(&points, kernel).unwrap();
    let (mean, whole) = (AnyEmbedding::Mean(mean), AnyEmbedding::Points(whole));
    for (embedding, form) in [(&mean, "mean"), (&whole, "points")] {
        embedding.write(&path).unwrap();
        let read = AnyEmbedding::read(&path).unwrap();
        assert_eq!(&read, embedding);
        assert_eq!((read.form(), read.len(), read.dim()), (form, 3, 1));
        let twice = AnyEmbedding::merge(&[&read, embedding]).unwrap();
        assert_eq!((twice.form(), twice.len()), (form, 6));
    }
    let fault = AnyEmbedding::merge(&[&mean, &whole]).unwrap_err();
    assert!(matches!(fault, Error::Mismatch { field: Field::Form, .. }), "{fault}");
    assert!(AnyEmbedding::merge(&[]).is_err());

    let bytes = std::fs::read(&path).unwrap();
    // Same length, so that the container stays whole.
    let before = br#"\"form\":\""#;
    let start = bytes.windows(before.len()).position(|w| w == before).unwrap() + before.len();
    let mut changed = bytes.clone();
    assert_eq!(&bytes[start..start + 6], b"points");
    changed[start..start + 6].copy_from_slice(b"sketch");
    std::fs::write(&path, changed).unwrap();
    let fault = AnyEmbedding::read(&path).unwrap_err().to_string();
    assert!(fault.contains("a.kme") && fault.contains("sketch") && fault.contains("points"), "{fault}");
}
