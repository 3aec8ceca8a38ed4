//! Neural networks as values: layers with exact pullbacks, networks that the field knows by name, feature maps and
//! generators.
//!
//! Everything here is made of the two things in which networks differ: a [`Net`] is a list of layers with their parameters,
//! and a card says what it is for. Pictures come from [`kme_image`], statistics from [`kme`].

mod cache;
mod draw;
mod feature;
mod generator;
mod latent;
mod model;
mod models;
mod net;
mod networks;

// Networks: layers with pullbacks, and what they are made of.
pub use net::{
    CriticNet, GeneratorNet, Init, Layer, Mode, Net, Param, Pass, Place, Role, Tensors, architecture, dcgan_critic,
    dcgan_generator, flat, layer, parse_tensors, place, write_tensors,
};

// Files of weights, and the networks that the field knows by name.
pub mod weights;
pub use networks::{CARDS, Convention, Known, Network, NetworkCard, Normalisation, network_card};

// What a network is for: generators, classifiers, autoencoders, where they are found, and what is drawn of them.
pub use draw::{Arrangement, DrawRequest, Drawn};
pub use generator::{Generator, Makes, NetworkGenerator, labelled};
pub use latent::{Latent, Prior};
pub use model::{Autoencoder, Classifier, ModelCard, Provenance, images_of, tensor_of};
pub use models::{Description, Models, SHIPPED, Shipped};

// Feature maps: pictures to points, and features that were computed before.
pub use cache::{Entry, FeatureCache, Key};
pub use feature::{Extractor, FeatureMap, Outputs, Pictures, Pixels, Positions, canonical, portable, recorded};
