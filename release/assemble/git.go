package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// repository is a checkout. Everything that is asked of it is about its HEAD, and what is read from it are the bytes that are
// committed: the files of a checkout may have other line ends, or be changed while we look.
type repository struct {
	root   string
	commit string
	time   time.Time // of the commit
}

func openRepository(folder string) (*repository, error) {
	r := &repository{root: folder}
	if folder == "" {
		r.root = "."
	}
	root, err := r.git("rev-parse", "--show-toplevel")
	if err != nil {
		return nil, fmt.Errorf("A release is made of a git repository, and this is none: %w", err)
	}
	r.root = strings.TrimSuffix(root, "\n")
	head, err := r.git("show", "-s", "--no-show-signature", "--format=%H %ct", "HEAD")
	if err != nil {
		return nil, fmt.Errorf("A release is made of a commit, and there is none yet: %w", err)
	}
	commit, seconds, _ := strings.Cut(strings.TrimSpace(head), " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("git gives no time of the commit: %q.", head)
	}
	r.commit, r.time = commit, time.Unix(unix, 0).UTC()
	return r, nil
}

func (r *repository) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.root, name)
}

// command runs git as nobody's settings change it: variables that point elsewhere, files that hide files, replaced commits.
func (r *repository) command(args ...string) *exec.Cmd {
	c := exec.Command("git", append([]string{
		"-C", r.root, "-c", "core.quotePath=false", "-c", "core.excludesFile=", "-c", "core.fsmonitor=false",
	}, args...)...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "GIT_") {
			c.Env = append(c.Env, variable)
		}
	}
	c.Env = append(c.Env, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1")
	return c
}

func (r *repository) git(args ...string) (string, error) {
	out, err := r.command(args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		message, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return "", fmt.Errorf("git %s: %s", args[0], message)
	}
	return string(out), err
}

// list runs a git command that ends each of its answers with a zero byte: names may have line ends in them.
func (r *repository) list(args ...string) ([]string, error) {
	out, err := r.git(args...)
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"), nil
}

// changes are the names of the files that are not as the commit has them, or that it does not have.
func (r *repository) changes() ([]string, error) {
	changed, err := r.list("status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=none")
	if err != nil {
		return nil, err
	}
	for i := range changed {
		changed[i] = changed[i][min(3, len(changed[i])):] // "XY name"
	}
	// What only .git/info/exclude or the user's own file ignores is no part of the commit, yet may be of what is built.
	others, err := r.list("ls-files", "-z", "--others", "--exclude-per-directory=.gitignore")
	if err != nil {
		return nil, err
	}
	// Files that git was told not to look at: `git update-index --assume-unchanged` and `--skip-worktree`.
	marked, err := r.list("ls-files", "-z", "-v")
	if err != nil {
		return nil, err
	}
	changed = append(changed, others...)
	for _, m := range marked {
		if m[0] == 'S' || m[0] >= 'a' && m[0] <= 'z' {
			changed = append(changed, m[2:]+" (marked so that git does not look at it)")
		}
	}
	return changed, nil
}

func (r *repository) shallow() (bool, error) {
	out, err := r.git("rev-parse", "--is-shallow-repository")
	return strings.TrimSpace(out) == "true", err
}

// versionTags are the tags that are versions: all, or those of HEAD and what came before.
func (r *repository) versionTags(merged bool) ([]string, error) {
	args := []string{"tag", "--list", "--format=%(refname:strip=2)"}
	if merged {
		args = append(args, "--merged", "HEAD")
	}
	out, err := r.git(args...)
	var versions []string
	for name := range strings.SplitSeq(out, "\n") {
		if isVersion(name) {
			versions = append(versions, name)
		}
	}
	return versions, err
}

// tagged is the commit of a tag, or nothing without such a tag.
func (r *repository) tagged(tag string) string {
	out, err := r.git("rev-parse", "--quiet", "--verify", "refs/tags/"+tag+"^{commit}")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// entry is a file of the commit.
type entry struct {
	mode, id, name string
}

func (e entry) link() bool      { return e.mode == "120000" }
func (e entry) submodule() bool { return e.mode == "160000" }

// files are those of the commit, or those below a folder of it, which need not be there.
func (r *repository) files(folder string) ([]entry, error) {
	args := []string{"ls-tree", "-r", "-z", "--full-tree", r.commit}
	if folder != "" {
		args = append(args, "--", folder+"/")
	}
	lines, err := r.list(args...)
	var entries []entry
	for _, line := range lines {
		about, name, _ := strings.Cut(line, "\t")
		field := strings.Fields(about)
		entries = append(entries, entry{mode: field[0], id: field[2], name: name})
	}
	return entries, err
}

// read is the content of one file of the commit.
func (r *repository) read(name string) ([]byte, error) {
	out, err := r.git("cat-file", "blob", r.commit+":"+name)
	if err != nil {
		return nil, fmt.Errorf("The commit has no %s.", name)
	}
	return []byte(out), nil
}

// readAll gives the content of each of these files, in their order.
func (r *repository) readAll(entries []entry, each func(e entry, content []byte) error) error {
	c := r.command("cat-file", "--batch")
	var ids strings.Builder
	for _, e := range entries {
		if !e.submodule() {
			ids.WriteString(e.id + "\n")
		}
	}
	c.Stdin = strings.NewReader(ids.String())
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	err = func() error {
		in := bufio.NewReaderSize(stdout, 1<<20)
		for _, e := range entries {
			if e.submodule() {
				continue
			}
			line, err := in.ReadString('\n')
			if err != nil {
				return fmt.Errorf("git cat-file ended at %s: %w", e.name, err)
			}
			field := strings.Fields(line)
			if len(field) != 3 {
				return fmt.Errorf("git has not the content of %s; is the clone whole?", e.name)
			}
			size, err := strconv.Atoi(field[2])
			if err != nil {
				return err
			}
			content := make([]byte, size+1)
			if _, err := io.ReadFull(in, content); err != nil {
				return fmt.Errorf("git cat-file ended in %s: %w", e.name, err)
			}
			if err := each(e, content[:size]); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		_ = c.Process.Kill()
	}
	return errors.Join(err, c.Wait())
}

// The folder with a folder for each version.
const keptFolder = "manifests/releases"

// kept are the manifests of each version that the commit has.
func (r *repository) kept() (map[string][]entry, error) {
	entries, err := r.files(keptFolder)
	versions := map[string][]entry{}
	for _, e := range entries {
		version, _, inFolder := strings.Cut(strings.TrimPrefix(e.name, keptFolder+"/"), "/")
		if !inFolder {
			continue // a file beside the folders
		}
		if !isVersion(version) {
			return nil, fmt.Errorf("%s has a folder %q, which is no version.", keptFolder, version)
		}
		versions[version] = append(versions[version], e)
	}
	return versions, err
}

// commit is one of those that made a release out of the one before.
type commit struct {
	id, subject string
	breaking    []string // what the message says after "Breaking:"
}

// since are the commits after another one, the newest first, or all of them. Merges say nothing of their own.
func (r *repository) since(base string) ([]commit, error) {
	spec := r.commit
	if base != "" {
		spec = base + ".." + r.commit
	}
	records, err := r.list("log", "-z", "--no-merges", "--no-show-signature", "--no-mailmap", "--topo-order", "--encoding=UTF-8",
		"--format=%H%n%B", spec, "--")
	var commits []commit
	for _, record := range records {
		id, message, _ := strings.Cut(record, "\n")
		subject, body, _ := strings.Cut(strings.TrimSpace(message), "\n")
		c := commit{id: id, subject: strings.TrimSpace(subject)}
		for paragraph := range strings.SplitSeq(strings.ReplaceAll(body, "\r", ""), "\n\n") {
			if text, ok := strings.CutPrefix(strings.TrimSpace(paragraph), "Breaking:"); ok {
				c.breaking = append(c.breaking, strings.Join(strings.Fields(text), " "))
			}
		}
		commits = append(commits, c)
	}
	return commits, err
}

// commitOf is the one that a version was made of: that of its tag, if HEAD came after it, or else the first that kept its
// manifests.
func (r *repository) commitOf(version string) (string, error) {
	if tagged := r.tagged(version); tagged != "" {
		if _, err := r.git("merge-base", "--is-ancestor", tagged, r.commit); err == nil {
			return tagged, nil
		}
	}
	out, err := r.git("log", "--format=%H", "--diff-filter=A", "--no-show-signature", r.commit, "--", path.Join(keptFolder, version))
	lines := strings.Fields(out)
	if err != nil || len(lines) == 0 {
		return "", errors.Join(err, fmt.Errorf("No commit before this one made %s.", version))
	}
	return lines[len(lines)-1], nil
}

// sameFiles says in one sentence each what differs between files of the commit below a folder, and others.
func (r *repository) differences(entries []entry, folder string, others map[string][]byte) ([]string, error) {
	var found []string
	seen := map[string]bool{}
	err := r.readAll(entries, func(e entry, content []byte) error {
		name := strings.TrimPrefix(e.name, folder+"/")
		seen[name] = true
		other, ok := others[name]
		switch {
		case !ok:
			found = append(found, name+" is kept and not generated")
		case e.link() || !bytes.Equal(content, other):
			found = append(found, name+" is another")
		}
		return nil
	})
	for name := range others {
		if !seen[name] {
			found = append(found, name+" is generated and not kept")
		}
	}
	return found, err
}
