package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// kubernetes is the module of Kubernetes itself. What its repository has in the folder staging are
// modules of their own.
const kubernetes = "k8s.io/kubernetes"

// appliedFile has the patch that a tree was made with. It is written last: a tree without it is no
// complete one.
const appliedFile = ".applied.patch"

// Kubernetes is the source of one minor version with our patch, laid out as Kubernetes' repository has
// it, since tests read files by paths like ../../../staging/src/k8s.io/api/testdata.
type Kubernetes struct {
	Dir     string
	Version string // of the module: v1.37.2

	patched map[string]string // modules that the patch changes, and their places in Dir
}

// Patched lays out the Kubernetes that images/kubernetes/MINOR/go.mod names, with the patch of that
// minor version. Modules that the patch changes are copied, the others are links into the module cache.
// repository is the folder of our repository, build its build folder.
func Patched(ctx context.Context, repository, build, minor string) (Kubernetes, error) {
	versions := filepath.Join(repository, "images", "kubernetes", minor)
	if _, err := os.Stat(versions); err != nil {
		return Kubernetes{}, fmt.Errorf("Kubernetes %s is not supported: images/kubernetes has no folder of that name", minor)
	}
	modules, err := list(ctx, versions)
	if err != nil {
		return Kubernetes{}, err
	}
	patchFile := filepath.Join(repository, "patches", "kubernetes-v"+minor+".patch")
	patch, err := os.ReadFile(patchFile)
	if err != nil {
		return Kubernetes{}, err
	}
	version := modules[kubernetes].version
	k := Kubernetes{
		Dir:     filepath.Join(build, "kubernetes-tests", version),
		Version: version,
		patched: map[string]string{},
	}
	for _, file := range patchedFiles(patch) {
		if name, place := moduleOf(file, modules); name != "" {
			k.patched[name] = place
		} else {
			return k, fmt.Errorf("%s: no module has the file %s", patchFile, file)
		}
	}

	if applied, err := os.ReadFile(filepath.Join(k.Dir, appliedFile)); err == nil && bytes.Equal(applied, patch) {
		return k, nil
	}
	if err := os.RemoveAll(k.Dir); err != nil {
		return k, err
	}
	if err := k.layOut(ctx, versions, modules); err != nil {
		return k, err
	}
	if err := k.apply(ctx, patchFile); err != nil {
		return k, err
	}
	return k, os.WriteFile(filepath.Join(k.Dir, appliedFile), patch, 0o644)
}

// ModFile writes a copy of a go.mod and its go.sum to a folder, for go's option -modfile. In the copy
// the modules that the patch changes are those of the tree.
func (k Kubernetes) ModFile(ctx context.Context, goMod, folder string) (string, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	copied := filepath.Join(folder, "go.mod")
	for from, to := range map[string]string{
		goMod: copied,
		filepath.Join(filepath.Dir(goMod), "go.sum"): filepath.Join(folder, "go.sum"),
	} {
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return "", err
		}
	}
	edit := exec.CommandContext(ctx, "go", "mod", "edit")
	for name, place := range k.patched {
		edit.Args = append(edit.Args, "-replace="+name+"="+filepath.Join(k.Dir, place))
	}
	edit.Args = append(edit.Args, copied)
	if out, err := edit.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", edit, err, out)
	}
	return copied, nil
}

// Version returns the version of Kubernetes in the go.mod of a folder.
func Version(ctx context.Context, dir string) (string, error) {
	modules, err := list(ctx, dir)
	return modules[kubernetes].version, err
}

// Minor returns 1.37 of v1.37.2.
func Minor(version string) string {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	return strings.Join(parts[:min(2, len(parts))], ".")
}

type module struct{ version, dir string }

// list returns the modules of a go.mod; those that no package needs have no folder in the cache.
func list(ctx context.Context, dir string) (map[string]module, error) {
	const format = "{{.Path}}\t{{if .Replace}}{{.Replace.Version}}{{else}}{{.Version}}{{end}}\t{{.Dir}}"
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", format, "all")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: go list -m all: %w", dir, err)
	}
	modules := map[string]module{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		modules[fields[0]] = module{fields[1], fields[2]}
	}
	if modules[kubernetes].version == "" {
		return nil, fmt.Errorf("%s: its go.mod does not require %s", dir, kubernetes)
	}
	return modules, nil
}

// patchedFiles are the paths of the files that a patch changes or adds.
func patchedFiles(patch []byte) []string {
	var files []string
	for line := range strings.Lines(string(patch)) {
		if file, ok := strings.CutPrefix(line, "+++ b/"); ok {
			files = append(files, strings.TrimSpace(file))
		}
	}
	return files
}

// moduleOf returns the module that a file of Kubernetes' repository belongs to, and its place there.
func moduleOf(file string, modules map[string]module) (name, place string) {
	for _, folder := range []string{"staging/src", "vendor"} {
		below, ok := strings.CutPrefix(file, folder+"/")
		if !ok {
			continue
		}
		for name := path.Dir(below); name != "."; name = path.Dir(name) {
			if _, ok := modules[name]; ok {
				return name, path.Join(folder, name)
			}
		}
		return "", ""
	}
	return kubernetes, "."
}

func (k Kubernetes) layOut(ctx context.Context, versions string, modules map[string]module) error {
	// Kubernetes' own module first: the others are below it.
	if err := Copy(ctx, versions, kubernetes, k.Version, k.Dir); err != nil {
		return err
	}
	for name, place := range k.patched {
		if name == kubernetes {
			continue
		}
		if err := Copy(ctx, versions, name, modules[name].version, filepath.Join(k.Dir, place)); err != nil {
			return err
		}
	}
	for name, m := range modules {
		short, ours := strings.CutPrefix(name, "k8s.io/")
		// A staging module has the version of its Kubernetes, with a 0 in the place of the 1.
		staging := ours && !strings.Contains(short, "/") && m.version == "v0"+strings.TrimPrefix(k.Version, "v1")
		if _, copied := k.patched[name]; copied || !staging || m.dir == "" {
			continue
		}
		place := filepath.Join(k.Dir, "staging", "src", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(place), 0o755), os.Symlink(m.dir, place)); err != nil {
			return err
		}
	}
	return nil
}

func (k Kubernetes) apply(ctx context.Context, patch string) error {
	patch, err := filepath.Abs(patch)
	if err != nil {
		return err
	}
	git := exec.CommandContext(ctx, "git", "apply", "--whitespace=nowarn", patch)
	git.Dir = k.Dir
	// Below the top of a repository git silently skips what it takes for files outside of the folder;
	// with this it sees no repository.
	git.Env = append(slices.Clip(os.Environ()), "GIT_CEILING_DIRECTORIES="+filepath.Dir(k.Dir))
	if out, err := git.CombinedOutput(); err != nil {
		return fmt.Errorf("patches/%s does not apply to Kubernetes %s: %w\n%s", filepath.Base(patch), k.Version, err, out)
	}
	return nil
}
