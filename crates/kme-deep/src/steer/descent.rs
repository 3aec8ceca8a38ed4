//! Descent on whatever moves: latents here, pixels or sets of points elsewhere.

use burn::optim::{AdamConfig, Optimizer};
use burn::tensor::Tensor;
use kme::{Observer, Progress, Result};
use kme_net::place;

/// Adam on one tensor, with the best that was met on the way.
///
/// Reference: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.
#[derive(Clone, Debug, PartialEq)]
pub struct Descent {
    /// Steps; 0 looks at the start alone.
    pub steps: usize,
    /// Adam's learning rate, in units of what moves.
    pub learning_rate: f64,
    /// Decay of the means of gradients, and of their squares.
    pub betas: [f64; 2],
    /// Added to the root of the mean square, in units of the gradient of loss / `scale`.
    pub epsilon: f64,
    /// The loss is divided by this before it is differentiated, so that ε is small for losses of any size.
    pub scale: f64,
    /// Keeps every coordinate in [−clamp, clamp] after each step. The start is taken as it is.
    pub clamp: Option<f64>,
}

impl Default for Descent {
    fn default() -> Self {
        Self { steps: 200, learning_rate: 0.05, betas: [0.9, 0.999], epsilon: 1e-8, scale: 1.0, clamp: None }
    }
}

/// Where a descent came.
#[derive(Clone, Debug)]
pub struct Best {
    /// The coordinates of the least loss that was met.
    pub x: Tensor<1>,
    /// That loss.
    pub value: f64,
    /// Steps that were made.
    pub steps: usize,
    /// Whether the observer stopped it before the last step.
    pub interrupted: bool,
}

impl Descent {
    /// Moves `start` (d) down the slope of `loss`, a number of shape (1) that can be differentiated in its argument.
    ///
    /// The observer is told of every step with the loss there, from 0 on; breaking stops there and keeps what was reached.
    ///
    /// # Errors
    /// Those of `loss`.
    pub fn run(
        &self,
        start: Tensor<1>,
        loss: impl Fn(Tensor<1>) -> Result<Tensor<1>>,
        observer: &dyn Observer,
    ) -> Result<Best> {
        let [beta_1, beta_2] = self.betas.map(|beta| beta as f32);
        let adam = AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(self.epsilon as f32).build();
        let (mut state, mut x) = (None, start);
        let mut best = Best { x: x.clone(), value: f64::INFINITY, steps: 0, interrupted: false };
        for step in 0..=self.steps {
            best.steps = step;
            let leaf = x.clone().autodiff().require_grad();
            let found = loss(leaf.clone())?;
            let value = place::scalar(found.clone().inner());
            if value < best.value {
                (best.value, best.x) = (value, x.clone());
            }
            let is_last = step == self.steps;
            let at = Progress::new("steps", step, self.steps).with_value(value);
            best.interrupted = observer.progress(at).is_break() && !is_last;
            if best.interrupted || is_last {
                break;
            }
            let gradients = (found / self.scale).backward();
            // Where the loss does not depend on it, nothing moves.
            let Some(gradient) = leaf.grad(&gradients) else { break };
            let (moved, next) = adam.step(self.learning_rate, x, gradient, state.take());
            state = next;
            x = match self.clamp {
                Some(clamp) => moved.clamp(-clamp, clamp),
                None => moved,
            };
        }
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme_net::Place;
    use std::ops::ControlFlow;
    use std::sync::Mutex;

    const CURVATURES: [f64; 3] = [1.0, 4.0, 0.25];
    const BOTTOM: [f64; 3] = [0.5, -1.5, 2.0];
    const START: [f64; 3] = [1.0, 1.0, 1.0];

    /// Σ aᵢ (xᵢ − bᵢ)², and the values that the observer saw.
    fn quadratic(descent: &Descent, stop: Option<u64>) -> (Best, Vec<f64>) {
        struct Seen(Mutex<Vec<f64>>, Option<u64>);
        impl Observer for Seen {
            fn progress(&self, at: Progress) -> ControlFlow<()> {
                self.0.lock().unwrap().extend(at.value);
                if self.1 == Some(at.done) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
        }
        let place = Place::cpu_f64();
        let tensor = |values: [f64; 3]| -> Tensor<1> { place.tensor_f64(values.to_vec(), [3]) };
        let loss = |x: Tensor<1>| {
            let apart = x - tensor(BOTTOM);
            Ok((apart.clone() * apart * tensor(CURVATURES)).sum())
        };
        let seen = Seen(Mutex::new(Vec::new()), stop);
        let best = descent.run(tensor(START), loss, &seen).unwrap();
        (best, seen.0.into_inner().unwrap())
    }

    fn at(x: &[f64]) -> f64 {
        (0..3).map(|i| CURVATURES[i] * (x[i] - BOTTOM[i]).powi(2)).sum()
    }

    #[test]
    fn the_bottom_of_a_quadratic_is_found() {
        let (best, seen) = quadratic(&Descent { steps: 2000, ..Descent::default() }, None);
        let x = place::numbers(best.x);
        assert!(x.iter().zip(BOTTOM).all(|(x, b)| (x - b).abs() < 1e-4), "{x:?}");
        assert_eq!((best.steps, best.interrupted, seen.len()), (2000, false, 2001));
        assert!((seen[0] - at(&START)).abs() < 1e-12, "{}", seen[0]);
        assert_eq!(best.value, seen.iter().copied().fold(f64::INFINITY, f64::min));
        assert!((best.value - at(&x)).abs() < 1e-12);
    }

    /// The first step is the learning rate times g / (|g| + ε), whatever the scale of the loss.
    #[test]
    fn the_first_step_has_a_closed_form() {
        for scale in [1.0, 1e6] {
            let descent = Descent { steps: 1, learning_rate: 0.1, epsilon: 1e-3, scale, ..Descent::default() };
            let (best, seen) = quadratic(&descent, None);
            let moved: Vec<f64> = (0..3)
                .map(|i| {
                    let g = 2.0 * CURVATURES[i] * (START[i] - BOTTOM[i]) / scale;
                    START[i] - 0.1 * g / (g.abs() + 1e-3)
                })
                .collect();
            assert!(seen[1] < seen[0] && (seen[1] - at(&moved)).abs() < 1e-4 * seen[0], "{seen:?} {}", at(&moved));
            let x = place::numbers(best.x);
            assert!(x.iter().zip(&moved).all(|(x, m)| (x - m).abs() < 1e-5), "{x:?} {moved:?}");
        }
    }

    #[test]
    fn every_coordinate_stays_within_the_clamp() {
        let (best, _) = quadratic(&Descent { steps: 2000, clamp: Some(1.25), ..Descent::default() }, None);
        let x = place::numbers(best.x);
        let nearest = BOTTOM.map(|b| b.clamp(-1.25, 1.25));
        assert!(x.iter().zip(nearest).all(|(x, b)| (x - b).abs() < 1e-4), "{x:?}");
    }

    #[test]
    fn stopped_it_has_the_best_so_far() {
        let (best, seen) = quadratic(&Descent::default(), Some(7));
        assert_eq!((best.steps, best.interrupted, seen.len()), (7, true, 8));
        assert_eq!(best.value, seen.iter().copied().fold(f64::INFINITY, f64::min));
        // In the last step there is nothing left to stop.
        assert!(!quadratic(&Descent { steps: 7, ..Descent::default() }, Some(7)).0.interrupted);
        let (still, seen) = quadratic(&Descent { steps: 0, ..Descent::default() }, None);
        assert_eq!((place::numbers(still.x), seen.len()), (START.to_vec(), 1));
    }
}
