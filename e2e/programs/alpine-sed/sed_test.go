package main

import "testing"

func TestTheHostsOfAPod(t *testing.T) {
	// As vCluster's translator of pods writes it.
	const command = `s/^(\d+.\d+.\d+.\d+\s+)web-0-x-default-x-harikube$/\1 web-0.web.default.svc.cluster.local web-0/`
	const before = "127.0.0.1\tlocalhost\n10.1.2.3\tweb-0-x-default-x-harikube\n10.1.2.4\tweb-0-x-default-x-harikube-2\n"
	const after = "127.0.0.1\tlocalhost\n10.1.2.3\t web-0.web.default.svc.cluster.local web-0\n10.1.2.4\tweb-0-x-default-x-harikube-2\n"
	if got, err := substitute(command, []byte(before)); err != nil || string(got) != after {
		t.Errorf("%v: %q; want %q", err, got, after)
	}
}

func TestWhatSedDoes(t *testing.T) {
	for _, test := range []struct{ command, before, after string }{
		{"s/a/b/", "aa\naa", "ba\nba"},
		{"s/(a)(b)/$1 \\2\\1/", "ab\n", "$1 ba\n"},
		{"s/x/y/", "", ""},
	} {
		if got, err := substitute(test.command, []byte(test.before)); err != nil || string(got) != test.after {
			t.Errorf("%s on %q: %q (%v); want %q", test.command, test.before, got, err, test.after)
		}
	}
	for _, command := range []string{"s/a/b/g", "y/a/b/", "s/(/b/", "s/a/b"} {
		if _, err := substitute(command, []byte("a")); err == nil {
			t.Errorf("%s was done", command)
		}
	}
}
