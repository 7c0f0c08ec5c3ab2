package jar

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func made(t *testing.T, entries ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.jar")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := zip.NewWriter(file)
	for _, entry := range entries {
		writer, err := out.Create(entry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(writer, "contents of "+entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRewrite(t *testing.T) {
	from := made(t, "META-INF/MANIFEST.MF", "native/linux.so", "native/windows.dll", "version.properties", "A.class")
	change := Change{Drop: []string{"native/"}, Set: map[string]string{"version.properties": "version=1"}}
	var results [2][]byte
	for i := range results {
		to := filepath.Join(t.TempDir(), "b.jar")
		if err := Rewrite(from, to, change); err != nil {
			t.Fatal(err)
		}
		var err error
		if results[i], err = os.ReadFile(to); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(results[0], results[1]) {
		t.Error("two runs have given different bytes")
	}
	in, err := zip.NewReader(bytes.NewReader(results[0]), int64(len(results[0])))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"META-INF/MANIFEST.MF", "contents of META-INF/MANIFEST.MF", "version.properties", "version=1",
		"A.class", "contents of A.class"}
	var got []string
	for _, entry := range in.File {
		reader, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry.Name, string(text))
	}
	if len(got) != len(want) {
		t.Fatalf("it has %q; want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("it has %q; want %q", got[i], want[i])
		}
	}
}

func TestWhatIsToBeChangedHasToBeThere(t *testing.T) {
	if err := Rewrite(made(t, "A.class"), filepath.Join(t.TempDir(), "b.jar"), Change{Set: map[string]string{"B": ""}}); err == nil {
		t.Error("a change of nothing was not noticed")
	}
}
