//! Lets the program find the Python library that it was built against, wherever that lies.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let python = pyo3_build_config::get();
    if python.shared()
        && let Some(directory) = python.lib_dir()
    {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{directory}");
    }
}
