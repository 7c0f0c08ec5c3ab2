// Command image works on the archives of `make images`; `image help` lists what it can do.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"harikube.io/images/tools/archive"
	"harikube.io/images/tools/container"
	"harikube.io/images/tools/jar"
)

const usage = `image finish -name NAME FROM TO          makes an archive of ours of Jib's
image pack -name NAME [options] DIR TO   makes an archive of a folder with the files of an image, as root's, in one layer
    -arch ARCH  -user UID[:GID]  -stop SIGNAL  -env NAME=VALUE  -entrypoint WORD  -command WORD, the last three as often as needed
image join -name NAME TO FROM...         makes one archive of those of several architectures
image push [-insecure] ARCHIVE NAME      pushes it, and prints NAME@DIGEST
image digest ARCHIVE                     prints the digest under which it will be in a registry
image config [-arch ARCH] ARCHIVE        prints the configuration of the image as JSON
image check [-max BYTES] ARCHIVE...      checks every digest, and the size, and prints both
image unpack [-arch ARCH] ARCHIVE DIR    lays its files out, with modes and owners
image run [options] ARCHIVE DIR [ARG...] runs what was unpacked in DIR as a node would, as root; the process becomes it
    -mount FROM:TO[:ro]  -env NAME=VALUE  -user UID[:GID]  -group GID  -command WORD, each as often as needed
image jar [-drop PREFIX] [-set NAME=TEXT] FROM TO   copies a jar with a change
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 || os.Args[1] == "help" {
		fmt.Print(usage)
		return
	}
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "image %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command string, arguments []string) error {
	flags := flag.NewFlagSet("image "+command, flag.ContinueOnError)
	switch command {
	case "finish":
		name := flags.String("name", "", "")
		files, err := parse(flags, arguments, 2)
		if err != nil {
			return err
		}
		return archive.Finish(*name, files[0], files[1])
	case "pack":
		return pack(flags, arguments)
	case "join":
		name := flags.String("name", "", "")
		files, err := parse(flags, arguments, 2)
		if err != nil {
			return err
		}
		return archive.Join(*name, files[0], files[1:]...)
	case "push":
		insecure := flags.Bool("insecure", false, "")
		what, err := parse(flags, arguments, 2)
		if err != nil {
			return err
		}
		return push(ctx, what[0], what[1], *insecure)
	case "digest":
		return withArchive(flags, arguments, 1, func(a *archive.Archive, _ []string) error {
			fmt.Println(a.Root().Digest)
			return nil
		})
	case "config":
		architecture := flags.String("arch", runtime.GOARCH, "")
		return withArchive(flags, arguments, 1, func(a *archive.Archive, _ []string) error {
			return printConfig(a, *architecture)
		})
	case "unpack":
		architecture := flags.String("arch", runtime.GOARCH, "")
		return withArchive(flags, arguments, 2, func(a *archive.Archive, folder []string) error {
			image, err := a.Image(*architecture)
			if err != nil {
				return err
			}
			return archive.Unpack(image, folder[0])
		})
	case "check":
		most := flags.Int64("max", 0, "")
		files, err := parse(flags, arguments, 1)
		if err != nil {
			return err
		}
		return check(files, *most)
	case "run":
		return runContainer(flags, arguments)
	case "jar":
		return rewrite(flags, arguments)
	}
	return fmt.Errorf("there is no such command\n%s", usage)
}

func parse(flags *flag.FlagSet, arguments []string, least int) ([]string, error) {
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() < least {
		return nil, fmt.Errorf("it needs %d names\n%s", least, usage)
	}
	return flags.Args(), nil
}

func withArchive(flags *flag.FlagSet, arguments []string, least int, do func(*archive.Archive, []string) error) error {
	names, err := parse(flags, arguments, least)
	if err != nil {
		return err
	}
	a, err := archive.Open(names[0])
	if err != nil {
		return err
	}
	defer a.Close()
	return do(a, names[1:])
}

func pack(flags *flag.FlagSet, arguments []string) error {
	name := flags.String("name", "", "")
	architecture := flags.String("arch", runtime.GOARCH, "")
	var config v1.Config
	flags.StringVar(&config.User, "user", "", "")
	flags.StringVar(&config.StopSignal, "stop", "", "")
	words(flags, "env", &config.Env)
	words(flags, "entrypoint", &config.Entrypoint)
	words(flags, "command", &config.Cmd)
	names, err := parse(flags, arguments, 2)
	if err != nil {
		return err
	}
	return archive.Pack(*name, *architecture, config, names[0], names[1])
}

// words are the values of a flag that may be there several times.
func words(flags *flag.FlagSet, name string, to *[]string) {
	flags.Func(name, "", func(word string) error {
		*to = append(*to, word)
		return nil
	})
}

func push(ctx context.Context, path, name string, insecure bool) error {
	a, err := archive.Open(path)
	if err != nil {
		return err
	}
	defer a.Close()
	pushed, err := a.Push(ctx, name, insecure)
	if err != nil {
		return err
	}
	fmt.Println(pushed)
	return nil
}

func printConfig(a *archive.Archive, architecture string) error {
	image, err := a.Image(architecture)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(config.Config)
}

func check(files []string, most int64) error {
	for _, file := range files {
		a, err := archive.Open(file)
		if err != nil {
			return err
		}
		sizes, err := a.Check()
		a.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, size := range sizes {
			fmt.Printf("%s %s %.1f MB compressed, %.1f MB\n", file, size.Platform, float64(size.Compressed)/1e6, float64(size.Files)/1e6)
			if most > 0 && size.Compressed > most {
				return fmt.Errorf("%s has more than %d bytes", file, most)
			}
		}
	}
	return nil
}

func rewrite(flags *flag.FlagSet, arguments []string) error {
	change := jar.Change{Set: map[string]string{}}
	words(flags, "drop", &change.Drop)
	flags.Func("set", "", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("%q has no =", text)
		}
		change.Set[name] = value
		return nil
	})
	files, err := parse(flags, arguments, 2)
	if err != nil {
		return err
	}
	return jar.Rewrite(files[0], files[1], change)
}

func runContainer(flags *flag.FlagSet, arguments []string) error {
	architecture := flags.String("arch", runtime.GOARCH, "")
	var spec container.Spec
	flags.StringVar(&spec.User, "user", "", "")
	flags.Func("mount", "", func(text string) error {
		from, to, ok := strings.Cut(text, ":")
		if !ok {
			return fmt.Errorf("%q is not FROM:TO", text)
		}
		to, readOnly := strings.CutSuffix(to, ":ro")
		spec.Mounts = append(spec.Mounts, container.Mount{From: from, To: to, ReadOnly: readOnly})
		return nil
	})
	words(flags, "env", &spec.Env)
	flags.Func("group", "", func(text string) error {
		group, err := strconv.Atoi(text)
		spec.Groups = append(spec.Groups, group)
		return err
	})
	words(flags, "command", &spec.Command)
	return withArchive(flags, arguments, 2, func(a *archive.Archive, rest []string) error {
		image, err := a.Image(*architecture)
		if err != nil {
			return err
		}
		config, err := image.ConfigFile()
		if err != nil {
			return err
		}
		if spec.Root, err = filepath.Abs(rest[0]); err != nil {
			return err
		}
		spec.Config, spec.Arguments = config.Config, rest[1:]
		return container.Exec(spec)
	})
}
