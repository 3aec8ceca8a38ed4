//! Operations with one differentiable argument whose derivative is linear in it, as the graph of derivatives takes them.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};
use std::fmt::Debug;
use std::marker::PhantomData;

/// An operation on one tensor, with all that it keeps for its derivative.
pub(crate) trait Linear<B: Backend>: Clone + Debug + Send + 'static {
    /// The operation.
    fn apply(self, y: FloatTensor<B>) -> FloatTensor<B>;

    /// Its derivative, transposed: what a cotangent of the result says of the argument.
    fn adjoint(self, cotangent: FloatTensor<B>) -> FloatTensor<B>;
}

#[derive(Debug)]
struct Step<L>(PhantomData<L>);

impl<B: Backend, L: Linear<B>> Backward<B, 1> for Step<L> {
    type State = L;

    fn backward(self, ops: Ops<L, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let cotangent = grads.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(node) = parent {
            grads.register::<B>(node.id, ops.state.adjoint(cotangent));
        }
    }
}

/// The operation at y, remembered where y is tracked.
pub(crate) fn tracked<B: Backend, C: CheckpointStrategy>(
    operation: impl Linear<B>,
    y: FloatTensor<Autodiff<B, C>>,
) -> FloatTensor<Autodiff<B, C>> {
    match Backward::<B, 1>::prepare::<C>(step(&operation), [y.node()]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(operation.clone(), operation.apply(y.into_primitive())),
        OpsKind::UnTracked(prep) => prep.finish(operation.apply(y.into_primitive())),
    }
}

/// The step of this operation's type.
fn step<L>(_: &L) -> Step<L> {
    Step(PhantomData)
}
