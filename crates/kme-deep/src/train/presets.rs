//! The configurations that are part of the program.

/// A configuration with a name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// What it is called.
    pub name: &'static str,
    /// What it trains.
    pub line: &'static str,
    /// The paper that it follows; several presets of one paper stand together.
    pub paper: &'static str,
    /// The configuration.
    pub toml: &'static str,
}

macro_rules! presets {
    ($($paper:literal { $($name:literal $line:literal)+ })+) => {
        /// By paper, in the order of their years.
        pub(super) const PRESETS: &[Preset] = &[$($(Preset {
            name: $name,
            line: $line,
            paper: $paper,
            toml: include_str!(concat!("../../presets/", $name, ".toml")),
        }),+),+];
    };
}

presets! {
    "What the program ships" {
        "fashion-mmd-gan" "MMD GAN on Fashion-MNIST, rational quadratic kernel with a linear term; makes the shipped generator"
        "fashion-classifier" "classifier of Fashion-MNIST whose features judge and steer; makes the shipped classifier"
    }
    "Li, Swersky, Zemel: Generative moment matching networks, 2015" {
        "mnist-gmmn" "GMMN in pixels, the published network"
        "mnist-autoencoder" "the autoencoder for mnist-gmmn-code"
        "mnist-gmmn-code" "GMMN in the codes of an autoencoder (runs/autoencoder)"
        "fashion-gmmn" "GMMN in pixels, beside the others"
        "fashion-gmmn-features" "the same in a classifier's frozen features"
    }
    "Kernelized GAN: deep kernel mean embeddings, ch. 3" {
        "25-gaussians" "points in the plane, in a minute"
        "mnist-kernelized-gan" "Gaussian kernel, DCGAN"
        "mnist-conditional" "labels to both networks, small networks"
        "lfw-kernelized-gan" "faces at 64x64"
        "fashion-kernelized-gan" "Gaussian kernel, beside the others"
        "fashion-kernelized-gan-linear" "linear kernel"
        "fashion-kernelized-gan-rks" "random features for the Gaussian kernel"
        "fashion-kernelized-gan-symmetric" "without its penalty"
    }
    "Arjovsky, Chintala, Bottou: Wasserstein GAN, 2017; Gulrajani et al., 2017" {
        "cifar10-wgan-gp" "gradient penalty, DCGAN"
        "fashion-wgan" "clipped weights"
        "fashion-wgan-gp" "gradient penalty"
    }
    "Li et al.: MMD GAN, 2017" {
        "cifar10-mmd-gan-li" "decoder, order of the means, clipped weights"
        "fashion-mmd-gan-li" "beside the others"
    }
    "Bellemare et al.: The Cramer distance, 2017" {
        "cifar10-cramer-gan" "DCGAN"
        "fashion-cramer-gan" "beside the others"
    }
    "Mroueh, Sercu, Goel: McGan, 2017" {
        "fashion-mcgan" "means and covariances"
    }
    "Binkowski, Sutherland, Arbel, Gretton: Demystifying MMD GANs, 2018" {
        "mnist-mmd-gan" "rational quadratic with a linear term"
        "cifar10-mmd-gan" "the same, DCGAN"
        "cifar10-mmd-gan-distance" "distance-induced kernel"
        "celeba-mmd-gan" "faces at 160x160, ResNet generator"
        "fashion-mmd-gan-rq" "beside the others"
        "fashion-mmd-gan-rbf" "mixture of Gaussian kernels"
        "fashion-mmd-gan-dot" "linear kernel"
        "fashion-mmd-gan-distance" "distance-induced kernel"
    }
    "Miyato et al.: Spectral normalization, 2018" {
        "cifar10-sn-gan" "logistic losses"
        "fashion-sn-gan" "beside the others"
    }
    "Arbel, Sutherland, Binkowski, Gretton: On gradient regularizers for MMD GANs, 2018" {
        "cifar10-smmd-gan" "Scaled MMD"
        "cifar10-sn-smmd-gan" "with spectral parametrisation"
        "cifar10-sn-swgan" "scaled WGAN with it"
        "celeba-sn-smmd-gan" "faces at 160x160"
        "imagenet64-sn-smmd-gan" "ResNets at 64x64"
        "fashion-smmd-gan" "Scaled MMD, beside the others"
        "fashion-sn-smmd-gan" "with spectral parametrisation"
        "fashion-swgan" "scaled WGAN"
        "fashion-sn-swgan" "with spectral parametrisation"
    }
}
