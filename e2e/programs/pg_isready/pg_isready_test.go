package main

import (
	"net"
	"strings"
	"testing"
)

func TestWhatAnAnswerMeans(t *testing.T) {
	for answer, want := range map[string]state{
		"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00":                        accepting,
		"E\x00\x00\x00\x24SFATAL\x00VFATAL\x00C57P03\x00Mstarting up\x00\x00":           rejecting,
		"E\x00\x00\x00\x21SFATAL\x00VFATAL\x00C28000\x00Mno entry\x00\x00\x00\x00\x00":  accepting,
		"E\x00\x00\x00\x40SFATAL\x00VFATAL\x00C57P03\x00Mthe connection breaks off\x00": silent,
		"":                  silent,
		"E\x00\x00\x00\x01": silent,
	} {
		if got := judge(strings.NewReader(answer)); got != want {
			t.Errorf("%q means: %v; want: %v", answer, got, want)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if got := ask(address, "harikube"); got != silent {
		t.Errorf("a closed port means: %v", got)
	}
}
