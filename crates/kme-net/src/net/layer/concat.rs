//! Parallel branches whose channels are joined.

use super::{
    Differentiable, Layer, Mode, Params, Run, Saved, Shape, forward_all, misfit, output_shape_all, pullback_all,
    specs_all,
};
use crate::net::param::Spec;
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};

/// The channels of branch₀(x), then those of branch₁(x), ... An empty branch is the identity.
///
/// Shapes: (n, c, h, w) → (n, Σ cᵢ, h', w'), where branch i gives (n, cᵢ, h', w').
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The layers of each branch, in order.
    pub branches: Vec<Vec<Layer>>,
}

impl Differentiable for Concat {
    fn specs(&self, name: &str) -> Vec<Spec> {
        let of = |(i, branch): (usize, &Vec<Layer>)| specs_all(branch, &format!("{name}branch{i}."));
        self.branches.iter().enumerate().flat_map(of).collect()
    }

    fn lists(&self) -> Vec<&[Layer]> {
        self.branches.iter().map(Vec::as_slice).collect()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let shapes = self.branches.iter().map(|branch| output_shape_all(branch, input)).collect::<Result<Vec<_>>>()?;
        match shapes.first() {
            Some(&[_, h, w]) if shapes.iter().all(|s| s[1..] == [h, w]) => {
                // Each is at most 2²⁶: the sum is no more than a file can hold branches times that.
                Ok([shapes.iter().map(|s| s[0]).sum(), h, w])
            }
            _ => Err(misfit("concat", input, format!("branches of one height and width, not {shapes:?}"))),
        }
    }

    fn forward(&self, params: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let (mut outputs, mut saved) = (Vec::new(), Vec::new());
        for (branch, own) in self.branches.iter().zip(params.parts()) {
            let (output, layers) = forward_all(branch, own, input.clone(), run);
            saved.push((output.dims()[1], layers));
            outputs.push(output);
        }
        (Tensor::cat(outputs, 1), Saved::Branches(saved))
    }

    fn pullback(&self, params: Params, saved: &Saved, mode: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let Saved::Branches(saved) = saved else { unreachable!("concat saves its branches") };
        let mut first = 0;
        let parts = self.branches.iter().zip(params.parts()).zip(saved).map(|((branch, own), (channels, saved))| {
            let part = cotangent.clone().narrow(1, first, *channels);
            first += channels;
            pullback_all(branch, own, saved, mode, part)
        });
        parts.reduce(|a, b| a + b).expect("output_shape saw to it that there is a branch")
    }
}
