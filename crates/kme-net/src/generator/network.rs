//! The generator that a network is.

use super::{Generator, Makes};
use crate::latent::Latent;
use crate::model::{ModelCard, Provenance};
use crate::net::{Mode, ModelFile, Net, Place};
use burn::tensor::Tensor;
use kme::{Error, Result};
use kme_image::{Background, Crop};
use std::path::Path;

/// A generator that is a network.
#[derive(Clone, Debug)]
pub struct NetworkGenerator {
    /// The network: inputs (n, [width](Generator::width), 1, 1) → pictures (n, c, h, w), or points (n, d, 1, 1).
    pub net: Net,
    /// The latent vectors.
    pub latent: Latent,
    /// Names of the classes of a conditional generator; of another, none.
    pub classes: Vec<String>,
    /// Whether it makes points (n, d), of any size, rather than pictures.
    pub points: bool,
    /// Name of the feature map in which it is steered and judged by default.
    pub features: String,
    /// SHA-256 of that feature map's network, where its name alone does not tell which it is.
    pub features_sha256: Option<String>,
    /// What was cut out of the pictures that it has learned from: pictures that it is to make more of are cut alike.
    pub crop: Crop,
    /// The colour that was under their transparent parts, and around those that were filled up.
    pub background: Background,
    /// How it was made.
    pub made: Provenance,
    /// SHA-256 of the file that it was read from.
    pub sha256: String,
}

impl NetworkGenerator {
    /// A generator from the bytes of a file that `kme train` wrote; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] when the file is damaged, or does not hold a generator.
    pub fn parse(bytes: &[u8], path: &Path, place: &Place) -> Result<Self> {
        match ModelFile::<ModelCard>::parse(bytes, path, place)? {
            (
                net,
                ModelCard::Generator { latent, classes, points, features, features_sha256, crop, background, made },
                sha256,
            ) => {
                let [c, h, w] = net.output();
                let fits = if points { [h, w] == [1, 1] } else { c == 1 || c == 3 };
                let inputs = latent.dim.checked_add(classes.len());
                if latent.dim == 0 || inputs.is_none_or(|inputs| net.input() != [inputs, 1, 1]) || !fits {
                    let shapes = format!("{:?} to {c}x{h}x{w}", net.input());
                    let what = if points { "point" } else { "picture" };
                    return Err(Error::format(path, format!("is not a {what} generator: it maps {shapes}")));
                }
                Ok(Self { net, latent, classes, points, features, features_sha256, crop, background, made, sha256 })
            }
            (_, card, _) => Err(Error::format(path, format!("holds {}, not a generator", card.a_role()))),
        }
    }

    /// Writes it beside `path` and renames it there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let card = ModelCard::Generator {
            latent: self.latent,
            classes: self.classes.clone(),
            points: self.points,
            features: self.features.clone(),
            features_sha256: self.features_sha256.clone(),
            crop: self.crop,
            background: self.background,
            made: self.made.clone(),
        };
        ModelFile::write(path, &self.net, card)
    }
}

impl Generator for NetworkGenerator {
    fn latent(&self) -> Latent {
        self.latent
    }

    fn makes(&self) -> Makes {
        match self.points {
            true => Makes::Points(self.net.output()[0]),
            false => Makes::Pictures(self.net.output()),
        }
    }

    fn place(&self) -> &Place {
        self.net.place()
    }

    fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Batch normalisation uses its running statistics.
    fn forward(&self, inputs: Tensor<4>) -> Result<Tensor<4>> {
        self.net.forward(inputs, Mode::Evaluate)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn features(&self) -> &str {
        &self.features
    }

    fn features_sha256(&self) -> Option<&str> {
        self.features_sha256.as_deref()
    }

    fn crop(&self) -> Crop {
        self.crop
    }

    fn background(&self) -> Background {
        self.background
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::labelled;
    use crate::latent::Prior;
    use crate::model::Classifier;
    use crate::net::layer::{Linear, Reshape};
    use crate::net::{Init, Layer};
    use kme::rng;

    fn made() -> Provenance {
        let text = String::new;
        Provenance { version: text(), preset: text(), seed: 0, steps: 0, data: text(), data_fingerprint: text() }
    }

    fn layers() -> Vec<Layer> {
        vec![Linear { inputs: 2, outputs: 4, bias: true }.into(), Reshape { to: [1, 2, 2] }.into()]
    }

    fn generator(net: Net, dim: usize, classes: &[&str], points: bool) -> NetworkGenerator {
        NetworkGenerator {
            net,
            latent: Latent { dim, prior: Prior::Uniform },
            classes: classes.iter().map(|name| name.to_string()).collect(),
            points,
            features: "pixels".into(),
            features_sha256: None,
            crop: Crop::default(),
            background: Background::default(),
            made: made(),
            sha256: String::new(),
        }
    }

    /// A linear map of `inputs` numbers, written and read again.
    fn reread(inputs: usize, dim: usize, classes: &[&str], points: bool) -> Result<NetworkGenerator> {
        let layers: Vec<Layer> = if points {
            vec![Linear { inputs, outputs: 4, bias: true }.into()]
        } else {
            vec![Linear { inputs, outputs: 4, bias: true }.into(), Reshape { to: [1, 2, 2] }.into()]
        };
        let net = Net::new(layers, [inputs, 1, 1], Init::He, 3, &Place::cpu()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.safetensors");
        generator(net, dim, classes, points).write(&path).unwrap();
        NetworkGenerator::parse(&std::fs::read(&path).unwrap(), &path, &Place::cpu())
    }

    /// A label is a column of the first layer's weights: what a class adds is the same for every latent.
    #[test]
    fn classes_stand_one_hot_behind_the_latent() {
        let rows = labelled(&[1.0, 2.0, 3.0, 4.0], 2, &[2, 0], 3).unwrap();
        assert_eq!(rows, [1.0, 2.0, 0.0, 0.0, 1.0, 3.0, 4.0, 1.0, 0.0, 0.0]);
        for (latents, classes) in [(&[1.0_f32; 4][..], &[0_usize][..]), (&[1.0; 4], &[0, 3]), (&[1.0; 3], &[0, 1])] {
            assert!(labelled(latents, 2, classes, 3).is_err(), "{latents:?} {classes:?}");
        }

        let g = reread(5, 2, &["a", "b", "1"], true).unwrap();
        assert_eq!((g.width(), &g.classes[..]), (5, &["a", "b", "1"].map(String::from)[..]));
        let inputs = g.inputs(&[0.5, -0.5, 0.25, 1.0, 0.5, -0.5, 0.25, 1.0], &[0, 0, 1, 1]).unwrap();
        let points = g.points_from(&inputs).unwrap();
        let at = |i: usize, j: usize| points.data().get(4 * i + j);
        for j in 0..4 {
            let (first, second) = (at(2, j) - at(0, j), at(3, j) - at(1, j));
            assert!((first - second).abs() < 1e-6 && first != 0.0, "{first} {second}");
        }
        // A name goes before a number.
        assert_eq!((g.class("b").unwrap(), g.class("0").unwrap(), g.class("1").unwrap()), (1, 0, 2));
        let message = g.class("c").unwrap_err().to_string();
        assert_eq!(message, "unknown class 'c'; choose one of a, b, 1");
        assert!(g.inputs(&[0.5, 0.5], &[]).is_err() && g.pictures_of(&[0.5, 0.5], &[0]).is_err());
        assert!(matches!(reread(2, 2, &[], true).unwrap().class("a"), Err(Error::NotApplicable { .. })));
    }

    #[test]
    fn a_conditional_sample_has_all_classes_equally_often() {
        let g = reread(5, 2, &["a", "b", "c"], false).unwrap();
        let inputs = g.draw(3000, 7);
        let mut counts = [0_usize; 3];
        for row in inputs.chunks(5) {
            assert_eq!(row[2..].iter().sum::<f32>(), 1.0);
            counts[row[2..].iter().position(|x| *x == 1.0).unwrap()] += 1;
        }
        // Four standard deviations of a binomial count.
        assert!(counts.iter().all(|&count| (count as f64 - 1000.0).abs() < 4.0 * 25.9), "{counts:?}");
        let latents = g.latent.draw(3000, &mut rng::stream(7, "sample", 0));
        assert!(inputs.chunks(5).zip(latents.chunks(2)).all(|(row, z)| row[..2] == *z));
        assert_eq!(g.sample(60, 7).unwrap(), g.pictures_from(&g.draw(60, 7)).unwrap());
        let of_b = g.sample_class(60, 1, 7).unwrap();
        assert_eq!(of_b, g.pictures_of(&g.latent.draw(60, &mut rng::stream(7, "sample", 0)), &[1; 60]).unwrap());
    }

    #[test]
    fn points_are_not_clamped_and_a_file_says_which_it_makes() {
        let g = reread(2, 2, &[], true).unwrap();
        let points = g.sample_points(200, 1).unwrap();
        assert_eq!((points.len(), points.dim()), (200, 4));
        assert!((0..800).any(|i| points.data().get(i) < 0.0), "nothing is below 0");
        assert!(matches!(g.sample(3, 1), Err(Error::Unsupported { .. })));
        let pictures = reread(2, 2, &[], false).unwrap();
        assert!(matches!(pictures.sample_points(3, 1), Err(Error::Unsupported { .. })));
        // Inputs without room for the classes, and points with a height.
        assert!(reread(2, 2, &["a"], true).unwrap_err().to_string().contains("not a point generator"));
        assert!(reread(3, 2, &[], false).unwrap_err().to_string().contains("not a picture generator"));
    }

    fn file() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.safetensors");
        let net = Net::new(layers(), [2, 1, 1], Init::He, 3, &Place::cpu()).unwrap();
        generator(net, 2, &[], false).write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (folder, path, bytes)
    }

    #[test]
    fn generators_survive_their_file_and_each_picture_depends_on_its_latent_alone() {
        let (_folder, path, bytes) = file();
        let generator = NetworkGenerator::parse(&bytes, &path, &Place::cpu()).unwrap();
        assert_eq!(generator.latent, Latent { dim: 2, prior: Prior::Uniform });
        let all = generator.sample(120, 1).unwrap();
        let latents = generator.latent.draw(120, &mut rng::stream(1, "sample", 0));
        assert!(latents.iter().all(|z| (-1.0..=1.0).contains(z)));
        for i in [0, 49, 50, 119] {
            assert_eq!(generator.pictures(&latents[2 * i..2 * i + 2]).unwrap().picture(0), all.picture(i));
        }
    }

    /// Every cut, and descriptions that ask for too much or do not fit, are errors that name the file.
    #[test]
    fn damaged_and_hostile_files_are_refused() {
        let (_folder, path, bytes) = file();
        let parse =
            |bytes: &[u8]| NetworkGenerator::parse(bytes, &path, &Place::cpu()).map(|_| ()).unwrap_err().to_string();
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut]).contains("g.safetensors"), "cut at {cut}");
        }
        let mut infinite = bytes.clone();
        let last = infinite.len() - 4;
        infinite[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(parse(&infinite).contains("inf"));
        let size = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = std::str::from_utf8(&bytes[8..8 + size]).unwrap();
        for (from, to, expected) in [
            ("[1,2,2]", "[1,9,9]", "reshape"),
            ("[1,2,2]", "[1,4294967296,4294967296]", "reshape"),
            ("\\\"outputs\\\":4", "\\\"outputs\\\":0", "shape of an activation"),
            ("\\\"outputs\\\":4", "\\\"outputs\\\":99999999999", "shape of an activation"),
            ("\\\"inputs\\\":2", "\\\"inputs\\\":3", "vector of 3"),
            ("\\\"dim\\\":2", "\\\"dim\\\":0", "not a picture generator"),
            ("\\\"bias\\\":true", "\\\"bias\\\":true,\\\"dilation\\\":2", "dilation"),
            ("\\\"role\\\":\\\"generator\\\"", "\\\"role\\\":\\\"critic\\\"", "critic"),
            ("\\\"format\\\":1", "\\\"format\\\":7", "format 7"),
            ("0.bias", "0.bios", "0.bias"),
        ] {
            assert!(header.contains(from), "{from} in {header}");
            let changed = header.trim_end().replacen(from, to, 1);
            let mut file = (changed.len() as u64).to_le_bytes().to_vec();
            file.extend_from_slice(changed.as_bytes());
            file.extend_from_slice(&bytes[8 + size..]);
            let message = parse(&file);
            assert!(message.contains(expected) && message.contains("g.safetensors"), "{to}: {message}");
        }
        let message = Classifier::parse(&bytes, &path, &Place::cpu()).unwrap_err().to_string();
        assert!(message.contains("holds a generator, not a classifier"), "{message}");
    }
}
