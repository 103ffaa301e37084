//! What tests count on in the server that they script.

use super::*;

#[test]
fn who_has_all_of_an_answer_has_no_request_under_way() {
    for (body, answer) in [
        ("x", "HTTP/1.1 200 Scripted\r\ncontent-length: 1\r\n\r\nx"),
        ("", "HTTP/1.1 200 Scripted\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let server = HttpServer::start(move |_| Response::new(200, body));
        // Another connection each time, whose thread may come before that of the last one goes on.
        for _ in 0..200 {
            let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let mut got = vec![0; answer.len()];
            client.read_exact(&mut got).unwrap();
            assert_eq!(got, answer.as_bytes());
        }
        assert_eq!((server.requests().len(), server.most_in_flight()), (200, 1));
    }
}
