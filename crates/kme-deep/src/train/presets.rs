//! The configurations that are part of the program.

/// A configuration with a name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    pub name: &'static str,
    /// What it trains.
    pub line: &'static str,
    /// The paper that it follows; several presets of one paper stand together.
    pub paper: &'static str,
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
}
