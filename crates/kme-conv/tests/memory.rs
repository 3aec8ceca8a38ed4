//! Working memory. Alone in its program, since it is counted over all threads.

use kme_conv::{Conv, Geometry, scratch};

/// VGG19 at 512²: every kind of layer, all three products, in less than 64 MB of working memory.
#[test]
fn working_memory_is_bounded() {
    scratch::reset_peak();
    for (inputs, outputs, image) in
        [(3, 64, 512), (64, 64, 512), (64, 128, 256), (128, 128, 256), (256, 256, 128), (512, 512, 64), (512, 512, 32)]
    {
        let g =
            Geometry { batch: 1, inputs, outputs, image: [image; 2], kernel: [3; 2], stride: [1; 2], padding: [1; 2] };
        let (mut x, mut w, mut y) = (vec![0.5; g.x_len()], vec![0.5; g.w_len()], vec![0.0; g.y_len()]);
        rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(|| {
            let conv = Conv::new(g);
            conv.forward(&x, &w, None, &mut y);
            conv.input_gradient(&y, &w, None, &mut x);
            conv.weight_gradient(&x, &y, &mut w);
        });
    }
    let peak = scratch::peak() as f64 / (1 << 20) as f64;
    println!("peak of working memory: {peak:.1} MiB");
    assert!(peak > 0.0 && peak < 64e6 / (1 << 20) as f64, "{peak} MiB");
}
