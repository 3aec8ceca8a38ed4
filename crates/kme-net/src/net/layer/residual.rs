//! The sum of a branch and a shortcut.

use super::{
    Differentiable, Layer, Mode, Params, Run, Saved, Shape, forward_all, misfit, output_shape_all, pullback_all,
    specs_all,
};
use crate::net::param::Spec;
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};

/// branch(x) + shortcut(x); an empty shortcut is the identity. Both must give the same shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// Layers of the branch.
    pub branch: Vec<Layer>,
    /// Layers of the shortcut.
    pub shortcut: Vec<Layer>,
}

/// The parameters of the branch, and those of the shortcut.
fn both(params: Params) -> [Params; 2] {
    let mut parts = params.parts();
    [(); 2].map(|()| parts.next().expect("a residual layer has two lists"))
}

impl Differentiable for Residual {
    fn specs(&self, name: &str) -> Vec<Spec> {
        let mut specs = specs_all(&self.branch, &format!("{name}branch."));
        specs.extend(specs_all(&self.shortcut, &format!("{name}shortcut.")));
        specs
    }

    fn lists(&self) -> Vec<&[Layer]> {
        vec![&self.branch, &self.shortcut]
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let (branch, shortcut) = (output_shape_all(&self.branch, input)?, output_shape_all(&self.shortcut, input)?);
        if branch == shortcut {
            Ok(branch)
        } else {
            Err(misfit("residual", input, format!("branch and shortcut of one shape, not {branch:?} and {shortcut:?}")))
        }
    }

    fn forward(&self, params: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let [branch, shortcut] = both(params);
        let (a, saved_a) = forward_all(&self.branch, branch, input.clone(), run);
        let (b, saved_b) = forward_all(&self.shortcut, shortcut, input, run);
        (a + b, Saved::Nested(saved_a, saved_b))
    }

    fn pullback(&self, params: Params, saved: &Saved, mode: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let Saved::Nested(saved_a, saved_b) = saved else { unreachable!("residual saves both paths") };
        let [branch, shortcut] = both(params);
        let a = pullback_all(&self.branch, branch, saved_a, mode, cotangent.clone());
        a + pullback_all(&self.shortcut, shortcut, saved_b, mode, cotangent)
    }
}
