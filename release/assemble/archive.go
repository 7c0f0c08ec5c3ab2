package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// tree is what an archive will have in it, by name.
type tree map[string]node

type node struct {
	content    []byte
	link       string // where a symbolic link leads
	executable bool
}

// write makes a tar.gz below one folder. The same tree gives the same bytes: sorted, of nobody, at the time of the commit.
func (t tree) write(w io.Writer, folder string, when time.Time) error {
	z := gzip.NewWriter(w)
	out := tar.NewWriter(z)
	folders := map[string]bool{}
	var names []string
	for name := range t {
		names = append(names, name)
		for at := path.Dir(name); at != "."; at = path.Dir(at) {
			folders[at] = true
		}
	}
	for name := range folders {
		names = append(names, name)
	}
	slices.Sort(names)
	header := func(name string, kind byte, mode int64) *tar.Header {
		return &tar.Header{Name: path.Join(folder, name), Typeflag: kind, Mode: mode, ModTime: when, Format: tar.FormatPAX}
	}
	for _, name := range append([]string{""}, names...) {
		n := t[name]
		var h *tar.Header
		switch {
		case name == "" || folders[name]:
			h = header(name, tar.TypeDir, 0o755)
			h.Name += "/"
		case n.link != "":
			h = header(name, tar.TypeSymlink, 0o777)
			h.Linkname = n.link
		default:
			h = header(name, tar.TypeReg, 0o644)
			if n.executable {
				h.Mode = 0o755
			}
			h.Size = int64(len(n.content))
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(n.content); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	return z.Close()
}

// bill says what is in it.
func (t tree) bill(version string, java *javaLibraries) (*bill, error) {
	b := newBill(version, java)
	for name, n := range t {
		runtime := ""
		if _, ok := t["runtime/release"]; ok {
			runtime = "runtime"
		}
		if err := b.file(name, n.content, runtime); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// server is the server as an image has it: its runtime and its jars.
type server struct {
	runtime tree            // relative to the folder of the runtime
	jars    map[string]node // by name
	native  []byte          // SQLite's code, if it lies beside the jars
}

// serverOf takes the server out of its image. The image's entry point says which runtime it is.
func (l *layout) serverOf(i platformImage) (*server, error) {
	home, err := i.javaHome()
	if err != nil {
		return nil, err
	}
	s := &server{runtime: tree{}, jars: map[string]node{}}
	err = l.walk(i, func(f fileInImage) error {
		name, inRuntime := strings.CutPrefix(f.name, home+"/")
		switch f.header.Typeflag {
		case tar.TypeReg:
			n := node{content: f.content, executable: f.header.Mode&0o111 != 0}
			switch {
			case inRuntime:
				s.runtime[name] = n
			case path.Ext(f.name) == ".jar":
				if _, twice := s.jars[path.Base(f.name)]; twice {
					return fmt.Errorf("%s has two files %s.", l.name, path.Base(f.name))
				}
				n.executable = false
				s.jars[path.Base(f.name)] = n
			case path.Base(f.name) == sqliteLibrary:
				s.native = f.content
			}
		case tar.TypeSymlink:
			if inRuntime {
				target := path.Join(path.Dir(name), f.header.Linkname)
				if path.IsAbs(f.header.Linkname) || target == ".." || strings.HasPrefix(target, "../") {
					return fmt.Errorf("%s has a runtime with a link out of it: %s.", l.name, printable(f.name))
				}
				s.runtime[name] = node{link: f.header.Linkname}
			}
		case tar.TypeLink:
			if inRuntime {
				return fmt.Errorf("%s has a runtime with a hard link: %s.", l.name, printable(f.name))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, ok := s.jars[serverJar]; !ok {
		return nil, fmt.Errorf("%s has no %s.", l.name, serverJar)
	}
	if java := s.runtime["bin/java"]; !java.executable {
		return nil, fmt.Errorf("%s has no runtime where its entry point says, in /%s.", l.name, home)
	}
	return s, nil
}

// javaHome is where the entry point's java has its runtime, without a slash in front; of an image without java nothing.
func (i platformImage) javaHome() (string, error) {
	if len(i.config.Config.Entrypoint) == 0 {
		return "", nil
	}
	java := path.Clean(i.config.Config.Entrypoint[0])
	if path.Base(java) != "java" {
		return "", nil
	}
	home := path.Dir(path.Dir(java))
	if !path.IsAbs(java) || path.Base(path.Dir(java)) != "bin" || home == "/" {
		return "", fmt.Errorf("The server's image has the entry point %q, which is no java of a runtime of its own.", java)
	}
	return strings.TrimPrefix(home, "/"), nil
}

// The folders of sqlite-jdbc with the native code of each architecture.
var sqliteFolders = map[string]string{
	"amd64": "org/sqlite/native/Linux/x86_64/",
	"arm64": "org/sqlite/native/Linux/aarch64/",
}

const sqliteLibrary = "libsqlitejdbc.so"

// archive is the server as `make server` lays it out, with the runtime and the native code of its image.
func (s *server) archive(launcher []byte, arch string) (tree, error) {
	t := tree{
		"bin/harikube": {content: launcher, executable: true},
		"lib/find-jdk": {content: []byte(findOwnRuntime), executable: true},
	}
	for name, n := range s.runtime {
		t["runtime/"+name] = n
	}
	for name, jar := range s.jars {
		t["lib/"+name] = jar
	}
	native := s.native
	if native == nil {
		var err error
		if native, err = s.sqliteCode(arch); err != nil {
			return nil, err
		}
	}
	t["lib/"+sqliteLibrary] = node{content: native}
	return t, nil
}

// plainArchive has no runtime, so that it runs on every system with a JDK: its jars are whole, as Maven has them. SQLite's native code
// is taken out of its driver at each start.
func (s *server) plainArchive(launcher, findJDK []byte, java *javaLibraries) (tree, error) {
	t := tree{
		"bin/harikube": {content: launcher, executable: true},
		"lib/find-jdk": {content: findJDK, executable: true},
	}
	for name, jar := range s.jars {
		if name != serverJar {
			_, whole, err := java.find(name, jar.content)
			if err != nil {
				return nil, err
			}
			jar.content = whole
		}
		t["lib/"+name] = jar
	}
	return t, nil
}

const findOwnRuntime = `#!/bin/sh
# Prints the home of the Java runtime that came with the server.
cd "$(dirname "$0")/../runtime" && pwd
`

func (s *server) sqliteCode(arch string) ([]byte, error) {
	for name, jar := range s.jars {
		if !strings.HasPrefix(name, "sqlite-jdbc-") {
			continue
		}
		z, err := zip.NewReader(bytes.NewReader(jar.content), int64(len(jar.content)))
		if err != nil {
			return nil, fmt.Errorf("%s cannot be unpacked: %w", name, err)
		}
		f, err := z.Open(sqliteFolders[arch] + sqliteLibrary)
		if err != nil {
			return nil, fmt.Errorf("%s has no native code for %s.", name, arch)
		}
		defer f.Close()
		return io.ReadAll(f)
	}
	return nil, fmt.Errorf("The server has no driver of SQLite.")
}
