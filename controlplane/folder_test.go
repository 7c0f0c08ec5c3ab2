package controlplane

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsInTheFolderIsForItsOwner(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "data")
	lock, err := lockFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for path, mode := range map[string]fs.FileMode{folder: 0o700, lock.Name(): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %o, not %o", path, info.Mode().Perm(), mode)
		}
	}
}
