mod fixture;
use heaptide_report::*;
#[test]
fn look() {
    let p = fixture::service();
    for w in [80,] {
    println!("{}", text(&p, &TextOptions{width:w, top: 6, ..fixture::options()}));
    println!("{}", short(&p, &TextOptions{width:w,..fixture::options()}, "kvd.4711.heaptide"));
    }
    std::fs::write("/tmp/report/c.txt", text(&p, &TextOptions{top: 6, colour: Colour::On, ..fixture::options()})+&short(&p, &TextOptions{colour: Colour::On,..fixture::options()}, "kvd.4711.heaptide")).unwrap();
    for by in [By::Thread] {
    println!("=====\n{}", text(&p, &TextOptions{by, sort:Some(Sort::Live), ..fixture::options()}).split("Resident over").nth(1).unwrap());
    }
    println!("=====\n{}", text(&fixture::sampled(), &TextOptions{sort:Some(Sort::Live), ..fixture::options()}));
}
