// Package source lays out the source that tests are compiled from: copies of modules out of the module
// cache, which is read-only, and a Kubernetes with our patch.
package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Copy copies a module out of the module cache to a folder, unless that is there. dir is the folder of
// a go.mod; a checksum in its go.sum must be that of the module.
func Copy(ctx context.Context, dir, module, version, to string) error {
	if _, err := os.Stat(to); !os.IsNotExist(err) {
		return err
	}
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version)
	download.Dir = dir
	out, err := download.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil || answer.Error != "" {
		return fmt.Errorf("go mod download %s@%s: %v %s", module, version, err, answer.Error)
	}
	// The copy gets its name when it is complete.
	partial := to + ".partial"
	if err := errors.Join(os.RemoveAll(partial), os.MkdirAll(filepath.Dir(to), 0o755)); err != nil {
		return err
	}
	if err := os.CopyFS(partial, os.DirFS(answer.Dir)); err != nil {
		return err
	}
	return os.Rename(partial, to)
}
