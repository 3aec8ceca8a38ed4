//! LeNet-5 with rectifiers and max pooling, for MNIST.

use super::card::{Convention, Known, NetworkCard, Normalisation};
use super::sketch::{Names, Part, Sketch};
use crate::net::layer::{Conv, Linear, MaxPool, Reshape};

pub(super) const CARD: NetworkCard = NetworkCard {
    name: "lenet5",
    line: "LeNet-5 on MNIST at 32x32 pixels: 84 features of digits",
    reference: "LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998",
    origin: "lenet_epoch of the repository csinva/gan-vae-pretrained-pytorch, or a rewrite with its names of tensors: \
             convnet.c1.weight, ..., fc.f7.weight",
    licence: "MIT, by that repository's read-me",
    files: &[],
    known: &[Known {
        sha256: "90d26d1827d34d4919762af285049c53aa4da1f23044fc1616f26951d8035c4b",
        what: "as safetensors",
    }],
    input: [1, 32, 32],
    resize: "pillow-bilinear",
    conventions: &[Convention { name: "csinva", pixels: Normalisation::Unit }],
    features: "relu6",
    logits: Some("f7"),
    batch: 64,
    sketch,
};

fn sketch() -> Sketch {
    let mut sketch = Sketch::default();
    let conv = |name: &str, inputs, outputs| {
        Part::new().conv(Conv::new(inputs, outputs, 5), [Names::of(&format!("convnet.{name}"))])
    };
    let dense = |name: &str, inputs, outputs| {
        Part::new().linear(Linear { inputs, outputs, bias: true }, [Some(Names::of(&format!("fc.{name}")))])
    };
    let pool = || Part::new().then(MaxPool::new(2, 2));
    sketch.then(conv("c1", 1, 6), &["c1"]);
    sketch.then(Part::new().relu(), &["relu1"]);
    sketch.then(pool(), &["s2"]);
    sketch.then(conv("c3", 6, 16), &["c3"]);
    sketch.then(Part::new().relu(), &["relu3"]);
    sketch.then(pool(), &["s4"]);
    sketch.then(conv("c5", 16, 120), &["c5"]);
    sketch.then(Part::new().relu().then(Reshape { to: [120, 1, 1] }), &["relu5"]);
    sketch.then(dense("f6", 120, 84), &["f6"]);
    sketch.then(Part::new().relu(), &["relu6"]);
    sketch.then(dense("f7", 84, 10), &["f7", "logits"]);
    sketch.finish()
}
