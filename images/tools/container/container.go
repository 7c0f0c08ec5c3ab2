// Package container runs an unpacked image as a node would, without a container runtime: in its own root, which is read-only,
// as its own user, without capabilities, and with nothing of the machine but what is mounted. It shares the machine's network
// and processes.
package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Mount is a folder or file of the machine in a container.
type Mount struct {
	From     string // "tmpfs" for an empty folder in memory
	To       string
	ReadOnly bool
}

// Spec is what a pod says of a container.
type Spec struct {
	// Root is the folder with the unpacked image. Where something is mounted that the image does not have, an empty folder
	// or file stays in it.
	Root string
	// Config is the image's own.
	Config v1.Config
	// Command and Arguments replace the image's, as in a pod.
	Command, Arguments []string
	Env                []string
	Mounts             []Mount
	// User replaces the image's: UID or UID:GID.
	User string
	// Groups are more groups, such as the one of a volume.
	Groups []int
}

// Exec turns this process into the container's; it returns only if that fails. It takes root's rights.
func Exec(spec Spec) error {
	command := slices.Concat(spec.Config.Entrypoint, spec.Config.Cmd)
	switch {
	case len(spec.Command) > 0:
		command = slices.Concat(spec.Command, spec.Arguments)
	case len(spec.Arguments) > 0:
		command = slices.Concat(spec.Config.Entrypoint, spec.Arguments)
	}
	if len(command) == 0 {
		return errors.New("the image has no entry point, so a command has to be named")
	}
	uid, gid, err := ids(spec.User, spec.Config.User)
	if err != nil {
		return err
	}
	env := environment(spec.Config.Env, spec.Env)

	// A namespace of mounts is a thread's; exec leaves no other thread.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a namespace of mounts: %w", err)
	}
	if err := spec.mount(); err != nil {
		return err
	}
	if err := syscall.Chroot(spec.Root); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	folder := spec.Config.WorkingDir
	if folder == "" {
		folder = "/"
	}
	if err := syscall.Chdir(folder); err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	program, err := find(command[0], env)
	if err != nil {
		return err
	}
	if err := become(uid, gid, spec.Groups); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", program, syscall.Exec(program, command, env))
}

func ids(names ...string) (uid, gid int, err error) {
	for _, name := range names {
		if name == "" {
			continue
		}
		first, second, both := strings.Cut(name, ":")
		if uid, err = strconv.Atoi(first); err != nil {
			return 0, 0, fmt.Errorf("the user %q is not a number", name)
		}
		if !both {
			return uid, uid, nil
		}
		if gid, err = strconv.Atoi(second); err != nil {
			return 0, 0, fmt.Errorf("the group in %q is not a number", name)
		}
		return uid, gid, nil
	}
	return 0, 0, nil
}

// environment: what comes later replaces what has the same name.
func environment(parts ...[]string) []string {
	env := []string{}
	for _, entry := range slices.Concat(parts...) {
		name, _, _ := strings.Cut(entry, "=")
		env = slices.DeleteFunc(env, func(other string) bool { return strings.HasPrefix(other, name+"=") })
		env = append(env, entry)
	}
	if !slices.ContainsFunc(env, func(entry string) bool { return strings.HasPrefix(entry, "PATH=") }) {
		env = append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	return env
}

func find(command string, env []string) (string, error) {
	if strings.Contains(command, "/") {
		return command, nil
	}
	for _, entry := range env {
		folders, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for _, folder := range filepath.SplitList(folders) {
			if info, err := os.Stat(filepath.Join(folder, command)); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
				return filepath.Join(folder, command), nil
			}
		}
	}
	return "", fmt.Errorf("there is no %s in the image", command)
}

func (s Spec) mount() error {
	// What is mounted here is not seen outside.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount(s.Root, s.Root, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("%s: %w", s.Root, err)
	}
	mounts := []Mount{{From: "/proc", To: "/proc"}, {From: "tmpfs", To: "/dev"}}
	// A volume that the image names and nobody mounts is an empty one.
	for volume := range s.Config.Volumes {
		if !slices.ContainsFunc(s.Mounts, func(m Mount) bool { return filepath.Clean(m.To) == volume }) {
			mounts = append(mounts, Mount{From: "tmpfs", To: volume})
		}
	}
	for _, file := range []string{"/etc/hosts", "/etc/resolv.conf"} {
		if _, err := os.Stat(file); err == nil {
			mounts = append(mounts, Mount{From: file, To: file, ReadOnly: true})
		}
	}
	for _, mount := range slices.Concat(mounts, s.Mounts) {
		if err := mount.mount(s.Root); err != nil {
			return fmt.Errorf("%s: %w", mount.To, err)
		}
	}
	for _, device := range []string{"null", "zero", "full", "random", "urandom"} {
		mount := Mount{From: "/dev/" + device, To: "/dev/" + device}
		if err := mount.mount(s.Root); err != nil {
			return fmt.Errorf("%s: %w", mount.To, err)
		}
	}
	return remount(s.Root)
}

func (m Mount) mount(root string) error {
	target := filepath.Join(root, m.To)
	if m.From == "tmpfs" {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		return syscall.Mount("tmpfs", target, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0777")
	}
	info, err := os.Stat(m.From)
	if err != nil {
		return err
	}
	if err := mountPoint(target, info.IsDir()); err != nil {
		return err
	}
	if err := syscall.Mount(m.From, target, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return err
	}
	if m.ReadOnly {
		return remount(target)
	}
	return nil
}

func mountPoint(path string, folder bool) error {
	if folder {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

func remount(target string) error {
	return syscall.Mount("", target, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY|syscall.MS_NOSUID, "")
}

// become gives up root's rights, and every way to get them back.
func become(uid, gid int, groups []int) error {
	const noNewPrivileges = 38 // PR_SET_NO_NEW_PRIVS
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("no new privileges: %w", errno)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("group %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("user %d: %w", uid, err)
	}
	return nil
}

// Possible tells whether this process may do what Exec does.
func Possible() bool { return os.Geteuid() == 0 }
