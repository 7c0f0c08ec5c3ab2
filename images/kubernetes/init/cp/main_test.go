package main

import (
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != text || info.Mode() != mode {
		t.Errorf("%s has %q and the mode %v; want %q and %v", path, got, info.Mode(), text, mode)
	}
}

func TestCopies(t *testing.T) {
	from := filepath.Join(t.TempDir(), "from")
	write(t, filepath.Join(from, "program"), "new", 0o755)
	write(t, filepath.Join(from, "below", "text"), "text", 0o640)
	if err := os.Symlink("program", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		from  string
		there bool
		at    string
	}{
		"what is in a folder":          {from + "/.", true, "."},
		"a folder into another":        {from, true, "from"},
		"a folder under another name":  {from, false, "."},
		"what is in one, into nothing": {from + "/.", false, "."},
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "to")
			if test.there {
				write(t, filepath.Join(to, test.at, "program"), "old", 0o600)
			}
			if err := copyInto(test.from, to, false); err != nil {
				t.Fatal(err)
			}
			expect(t, filepath.Join(to, test.at, "program"), "new", 0o755)
			expect(t, filepath.Join(to, test.at, "below", "text"), "text", 0o640)
			expect(t, filepath.Join(to, test.at, "link"), "new", 0o755)
			if left, _ := filepath.Glob(filepath.Join(to, test.at, ".cp-*")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

func TestSeveralFilesNeedAFolder(t *testing.T) {
	from := filepath.Join(t.TempDir(), "from")
	write(t, from, "text", 0o644)
	if err := copyInto(from, filepath.Join(t.TempDir(), "absent"), true); err == nil {
		t.Error("a second file would have replaced the first")
	}
}

// A program that runs cannot be written, but it can be replaced.
func TestReplacesWhatIsOpen(t *testing.T) {
	folder := t.TempDir()
	from, to := filepath.Join(folder, "from"), filepath.Join(folder, "to")
	write(t, from, "new", 0o755)
	write(t, to, "old", 0o755)
	before, err := os.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := copyInto(from, to, false); err != nil {
		t.Fatal(err)
	}
	expect(t, to, "new", 0o755)
	text := make([]byte, 8)
	if n, _ := before.Read(text); string(text[:n]) != "old" {
		t.Errorf("who had it open reads %q", text[:n])
	}
}

func TestWhatIsNotThere(t *testing.T) {
	if err := copyInto(filepath.Join(t.TempDir(), "absent"), t.TempDir(), false); err == nil {
		t.Error("nothing was copied, and nothing was said")
	}
}
