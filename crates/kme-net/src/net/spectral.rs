//! Spectral parametrisation: every convolution and dense layer W = s · W̄ / σ(W̄), σ its largest singular value.
//!
//! A network with it carries, for each weight NAME, two parameters more, behind all others: `NAME.scale` (s, one
//! number) and `NAME.direction` (u, an estimate of the first left singular vector). σ is estimated by uᵀ W̄ v, v =
//! W̄ᵀu / ‖W̄ᵀu‖, with u and v constants of differentiation, where W̄ is seen as the matrix (outputs) × (inputs ·
//! kernel sides). The layers know nothing of this: [`Net::effective`] gives an ordinary network whose weights are
//! that expression, so that forward passes, pullbacks and penalties of it reach W̄ and s. Only [`Net::power_iterate`]
//! moves u.
//!
//! References: Miyato, Kataoka, Koyama, Yoshida, "Spectral normalization for generative adversarial networks", ICLR
//! 2018 (s = 1); Arbel, Sutherland, Bińkowski, Gretton, "On gradient regularizers for MMD GANs", NeurIPS 2018, §3 (s
//! learned).

use super::Net;
use super::param::{Init, Kind, Param, Role, Spec};
use burn::tensor::Tensor;
use kme::{Error, Result};

/// Power iterations before the first estimate is used. Convergence from a random start is slow: a Gaussian matrix of
/// 2304 by 512 is at 0.93 of σ after 5, at 0.998 after 60.
const WARM_UP: usize = 60;

/// Below this a norm counts as zero.
const LEAST: f64 = 1e-12;

impl Net {
    /// The same network in spectral parametrisation: its weights become W̄, s starts at 1, u is warmed up from a
    /// truncated normal drawn from `seed`. `learned` says whether s is trained; otherwise this is spectral
    /// normalisation.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the network has it already, has no convolution or dense layer, or has a transposed convolution, for which
    /// there is no published rule.
    pub fn with_spectral(mut self, learned: bool, seed: u64) -> Result<Self> {
        let refused = |reason: String| Error::unsupported("apply the spectral parametrisation", reason);
        if self.is_spectral() {
            return Err(refused("the network has it already".into()));
        }
        let is = |p: &Param, kinds: &[Kind]| matches!(p.role, Role::Weight { of, .. } if kinds.contains(&of));
        if let Some(p) = self.params.iter().find(|p| is(p, &[Kind::TransposedConv])) {
            return Err(refused(format!("there is no rule for the transposed convolution of {}", p.name)));
        }
        let weights: Vec<Param> = self.params.iter().filter(|p| is(p, &[Kind::Conv, Kind::Linear])).cloned().collect();
        if weights.is_empty() {
            return Err(refused("the network has neither convolutions nor dense layers".into()));
        }
        for weight in weights {
            for (part, len, role) in
                [("scale", 1, Role::Scale { trained: learned }), ("direction", weight.shape[0], Role::Direction)]
            {
                let spec = Spec { name: format!("{}.{part}", weight.name), shape: vec![len], role };
                // Which law starts the weights does not matter for these two.
                let value = Init::He.draw(&spec, seed, &self.place);
                self.params.push(Param { name: spec.name, shape: spec.shape, role, value });
            }
        }
        self.power_iterate(WARM_UP);
        Ok(self)
    }

    /// Whether [`with_spectral`](Self::with_spectral) made it.
    pub fn is_spectral(&self) -> bool {
        self.params.last().is_some_and(|p| p.role == Role::Direction)
    }

    /// The ordinary network of the weights s · W̄ / σ(W̄); the network itself, if it is one.
    ///
    /// Of a [`tracked`](Self::tracked) network the weights are expressions of W̄ and s, through which gradients reach
    /// them.
    pub fn effective(&self) -> Self {
        if !self.is_spectral() {
            return self.clone();
        }
        let (own, extras) = self.params.split_at(self.own());
        let mut net = Self { params: own.to_vec(), ..self.clone() };
        let mut rest = extras;
        for param in &mut net.params {
            let Some(([scale, direction], after)) = rest.split_first_chunk() else { break };
            if scale.name.strip_suffix(".scale") != Some(&param.name) {
                continue;
            }
            let sigma = top_singular_value(param, direction);
            param.value = param.value.clone() * (scale.value.clone() / sigma.clamp_min(LEAST));
            rest = after;
        }
        net
    }

    /// Moves u of every weight by `count` power iterations u ← W̄v / ‖W̄v‖, v = W̄ᵀu / ‖W̄ᵀu‖. Training calls it with
    /// 1 before the critic sees real samples; nothing else should. Does nothing without spectral parametrisation.
    pub fn power_iterate(&mut self, count: usize) {
        let own = self.own();
        let (weights, extras) = self.params.split_at_mut(own);
        let mut weights = weights.iter();
        for pair in extras.chunks_exact_mut(2) {
            let name = pair[0].name.strip_suffix(".scale");
            let weight = weights.find(|p| Some(p.name.as_str()) == name).expect("each scale follows its weight");
            let w = matrix(weight).inner();
            let direction = &mut pair[1];
            let was_autodiff = direction.value.is_autodiff();
            let mut u = column(direction).inner();
            for _ in 0..count {
                let v = unit(w.clone().transpose().matmul(u));
                u = unit(w.clone().matmul(v));
            }
            let u: Tensor<1> = u.reshape([direction.shape[0]]);
            direction.value = if was_autodiff { u.autodiff() } else { u };
        }
    }

    /// The current estimates of σ(W̄), one for each weight with its name.
    pub fn singular_values(&self) -> Vec<(String, f64)> {
        let (own, extras) = self.params.split_at(self.own());
        let mut weights = own.iter();
        let pairs = extras.chunks_exact(2);
        pairs
            .map(|pair| {
                let name = pair[0].name.strip_suffix(".scale");
                let weight = weights.find(|p| Some(p.name.as_str()) == name).expect("each scale follows its weight");
                (weight.name.clone(), super::place::scalar(top_singular_value(weight, &pair[1]).inner()))
            })
            .collect()
    }

    /// How many parameters the layers have; those behind them belong to the spectral parametrisation.
    pub(super) fn own(&self) -> usize {
        self.ranges.count()
    }
}

/// uᵀ W v with u and v = Wᵀu / ‖Wᵀu‖ held constant; its derivative in W is u vᵀ.
fn top_singular_value(weight: &Param, direction: &Param) -> Tensor<1> {
    let w = matrix(weight);
    let u = column(direction).inner();
    let v = unit(w.clone().inner().transpose().matmul(u.clone()));
    let (u, v) = if w.is_autodiff() { (u.autodiff(), v.autodiff()) } else { (u, v) };
    u.transpose().matmul(w.matmul(v)).reshape([1])
}

/// (outputs) × (everything else).
fn matrix(weight: &Param) -> Tensor<2> {
    let rows = weight.shape[0];
    weight.value.clone().reshape([rows, weight.shape[1..].iter().product()])
}

fn column(direction: &Param) -> Tensor<2> {
    direction.value.clone().reshape([direction.shape[0], 1])
}

/// x / ‖x‖, a product in the place of a sum, whose order of additions does not depend on threads.
fn unit(x: Tensor<2>) -> Tensor<2> {
    let norm = x.clone().transpose().matmul(x.clone()).sqrt().clamp_min(LEAST);
    x / norm
}

#[cfg(test)]
mod tests {
    use crate::net::layer::{Conv, Relu};
    use crate::net::{Init, Mode, ModelFile, Net, Place, place};

    /// A network file has no room for the parametrisation: it holds the network that it gives.
    #[test]
    fn a_file_holds_the_effective_weights() {
        let (place, folder) = (Place::cpu(), tempfile::tempdir().unwrap());
        let layers = vec![Conv::new(1, 3, 3).into(), Relu {}.into(), Conv::new(3, 2, 2).into()];
        let net = Net::new(layers, [1, 5, 5], Init::He, 2, &place).unwrap().with_spectral(true, 4).unwrap();
        let path = folder.path().join("critic.safetensors");
        ModelFile::write(&path, &net, String::from("card")).unwrap();
        let (read, card, _) = ModelFile::<String>::parse(&std::fs::read(&path).unwrap(), &path, &place).unwrap();
        assert!(!read.is_spectral() && card == "card");
        let x = place.tensor((0..25).map(|i| i as f32 / 25.0).collect(), [1, 1, 5, 5]);
        let output = |net: &Net| place::numbers(net.forward(x.clone(), Mode::Evaluate).unwrap());
        assert_eq!(output(&read), output(&net.effective()));
        assert_ne!(output(&read), output(&net));
    }
}
