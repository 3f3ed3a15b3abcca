package powercut

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

const (
	diskSize = 64 << 20

	// From Linux' fs/ext4/ext4.h; golang.org/x/sys has neither.
	ext4IocShutdown = 0x8004587d // EXT4_IOC_SHUTDOWN
	noLogFlush      = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal is written out
)

// Disk is a mounted disk of 64 MiB.
type Disk struct {
	Dir string // where it is mounted, before and after a cut

	tb    testing.TB
	image string // the file behind the loop device
	cuts  int
}

// Mount makes a disk and mounts it until the test ends. It skips the test where
// it cannot.
func Mount(tb testing.TB) *Disk {
	tb.Helper()
	if os.Getuid() != 0 {
		tb.Skip("no power cut: mounting a disk needs root")
	}
	base := tb.TempDir()
	d := &Disk{Dir: filepath.Join(base, "disk"), tb: tb, image: filepath.Join(base, "image.0")}
	if err := os.Mkdir(d.Dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := format(d.image); err != nil {
		tb.Skip("no power cut: cannot make an ext4 image: ", err)
	}
	if err := d.mount(); err != nil {
		tb.Skip("no power cut: cannot mount a loop device: ", err)
	}
	tb.Cleanup(d.unmount)
	return d
}

// Cut takes the power away and gives it back: Dir then shows what had reached
// the disk. Files that are open stay open on the dead disk, where every write
// and sync fails; to close them is the caller's business and harms nothing.
func (d *Disk) Cut() {
	d.tb.Helper()
	if err := shutdown(d.Dir); err != nil {
		d.tb.Fatal("cut the power: ", err)
	}
	// Files still open keep the dead filesystem alive on its device, so the
	// platter is moved to a new one, and the old cannot reach it any more.
	dead := d.image
	d.cuts++
	d.image = filepath.Join(filepath.Dir(dead), fmt.Sprintf("image.%d", d.cuts))
	if err := clone(dead, d.image); err != nil {
		d.tb.Fatal("take the disk over: ", err)
	}
	d.unmount()
	if err := d.mount(); err != nil {
		d.tb.Fatal("power on: ", err)
	}
}

func format(image string) error {
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, diskSize); err != nil {
		return err
	}
	return run("mkfs.ext4", "-q", "-F", image)
}

// mount keeps the kernel from committing the journal by itself meanwhile: a
// write without fsync shall not survive by luck.
func (d *Disk) mount() error { return run("mount", "-o", "loop,commit=600", d.image, d.Dir) }

func (d *Disk) unmount() {
	if err := syscall.Unmount(d.Dir, syscall.MNT_DETACH); err != nil {
		d.tb.Error("unmount: ", err)
	}
}

func run(name string, args ...string) error {
	if output, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, output)
	}
	return nil
}

func shutdown(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	flag := uint32(noLogFlush)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ext4IocShutdown, uintptr(unsafe.Pointer(&flag)))
	if errno != 0 {
		return fmt.Errorf("EXT4_IOC_SHUTDOWN: %w", errno)
	}
	return nil
}

func clone(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
