//! Files of a mean and a covariance: what they tell besides, and what is made of it.

mod common;

use common::Place;
use kme::Statistics;
use serde_json::Value;

/// The bias of FID by hand, for d = 1: σ² (1/n + 1/m) + ½ (1/(n−1) + 1/(m−1)) σ with the singular value σ = s·t.
fn bias(s: f64, t: f64, n: f64, m: f64) -> f64 {
    s * s / n + t * t / m + 0.5 * (1.0 / (n - 1.0) + 1.0 / (m - 1.0)) * (s * t)
}

fn deviation(place: &Place, name: &str) -> f64 {
    let points = kme::Points::read(place.path(name)).unwrap().into_data().into_f64();
    let mean = points.iter().sum::<f64>() / points.len() as f64;
    (points.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (points.len() as f64 - 1.0)).sqrt()
}

#[test]
fn the_number_of_points_is_kept_and_gives_the_bias() {
    let place = Place::new();
    place.normal("x.npy", 120, 1, 0.0, 1);
    place.normal("y.npy", 90, 1, 0.4, 2);
    for name in ["x", "y"] {
        assert_eq!(place.kme(&format!("embed {name}.npy -o {name}.npz")).code, Some(0));
    }
    let right = bias(deviation(&place, "x.npy"), deviation(&place, "y.npy"), 120.0, 90.0);
    for words in ["x.npy y.npy", "x.npz y.npy", "x.npy y.npz", "x.npz y.npz"] {
        let found = place.kme(&format!("eval {words} --metrics fid --json")).json();
        assert_eq!((&found["n"], &found["m"]), (&Value::from(120), &Value::from(90)), "{words}");
        let found = found["bias"].as_f64().unwrap();
        assert!((found / right - 1.0).abs() < 1e-9, "{words}: {found} is not {right}");
    }
    let text = place.kme("eval x.npz y.npz").out;
    assert!(text.contains("too large on average") && text.contains("(120 points)"), "{text}");
    // Shards that are merged tell it too.
    for i in [1, 2] {
        assert_eq!(place.kme(&format!("embed x.npy -o {i}.kme --shard {i}/2")).code, Some(0));
    }
    assert_eq!(place.kme("merge 1.kme 2.kme -o merged.npz").code, Some(0));
    assert_eq!(Statistics::read(place.path("merged.npz")).unwrap().count(), Some(120));
    // Statistics of other tools tell nothing: those of version 0.1 are such a file.
    let plain = Statistics::read(place.path("x.npz")).unwrap();
    let plain = Statistics::new(plain.mean().to_vec(), plain.covariance().to_vec()).unwrap();
    plain.write(place.path("plain.npz")).unwrap();
    let read = Statistics::read(place.path("plain.npz")).unwrap();
    assert_eq!((read.count(), read.features()), (None, None));
    let found = place.kme("eval plain.npz plain.npz --json").json();
    assert!(found["n"].is_null() && found.get("bias").is_none(), "{found}");
}

/// Byte by byte what NumPy would need: mu and sigma as before, n as int64, the text as bytes.
#[test]
fn arrays_beside_mu_and_sigma_are_plain_numpy() {
    let place = Place::new();
    place.normal("x.npy", 50, 3, 0.0, 1);
    assert_eq!(place.kme("embed x.npy -o x.npz").code, Some(0));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(place.path("x.npz")).unwrap()).unwrap();
    let mut entry = |name: &str| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut archive.by_name(name).unwrap(), &mut bytes).unwrap();
        let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        (String::from_utf8_lossy(&bytes[10..header]).to_string(), bytes[header..].to_vec())
    };
    let (header, bytes) = entry("n.npy");
    assert!(header.contains("'descr': '<i8'") && header.contains("'shape': (1,)"), "{header}");
    assert_eq!(bytes, 50_i64.to_le_bytes());
    let (header, bytes) = entry("feature_map.npy");
    assert!(header.contains("'descr': '|u1'") && header.contains(&format!("({},)", bytes.len())), "{header}");
    let told: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((&told["name"], &told["sha256"]), (&"identity".into(), &Value::Null));
    let (header, bytes) = entry("mu.npy");
    assert!(header.contains("'descr': '<f8'") && bytes.len() == 24, "{header}");
    assert_eq!(entry("sigma.npy").1.len(), 72);
}

#[test]
fn feature_maps_of_statistics_are_compared() {
    let place = Place::new();
    for (name, seed) in [("a", 1), ("b", 2)] {
        assert_eq!(place.kme(&format!("sample fashion -n 40 --seed {seed} -o {name}")).code, Some(0));
    }
    let embed = |words: &str| assert_eq!(place.kme(&format!("embed {words}")).code, Some(0), "{words}");
    embed("a -o a.npz --features fashion-classifier");
    embed("a -o pixels.npz --features pixels --size 8x8 --channels 1");
    embed("a -o a.npy --features fashion-classifier");
    embed("b -o b.kme --features fashion-classifier");
    // The file names the feature map for pictures, and is compared with what else is there.
    let by_name = place.kme("eval a.npz b --features fashion-classifier --json").json();
    let implied = place.kme("eval a.npz b --json").json();
    assert_eq!(by_name["value"], implied["value"]);
    assert_eq!(implied["features"]["name"], by_name["features"]["name"]);
    // An embedding has its points in another order, which moves the last digits.
    let found = place.kme("eval a.npz b.kme --metrics fid --json").value() / by_name["value"].as_f64().unwrap();
    assert!((found - 1.0).abs() < 1e-10, "{found}");
    let d = Statistics::read(place.path("a.npz")).unwrap().dim();
    assert_eq!(d, 64, "the two maps of this test have one dimension");
    for words in ["a.npz pixels.npz", "pixels.npz a.npz", "pixels.npz b.kme"] {
        let ran = place.kme(&format!("eval {words} --metrics fid"));
        assert_eq!(ran.code, Some(2), "{words}: {}", ran.out);
        assert!(ran.err.contains("feature map differs") && ran.err.contains("pixels.npz"), "{words}: {}", ran.err);
    }
    // Features that are plain points tell nothing of where they come from.
    let ran = place.kme("eval a.npz a.npy --metrics fid");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("make sure that they are the same"), "{}", ran.err);
    assert!(!place.kme("eval a.npz b.kme --metrics fid").err.contains("make sure"));
}
