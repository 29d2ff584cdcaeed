//! qcow2 images.
