package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// credentials are the sessions of this user, in a file that only the user reads.
type credentials struct {
	Current string           `json:"current"` // node of the last login
	Servers map[string]login `json:"servers"` // by the node's URL
}

// login is a session and the CA that its node was reached under.
type login struct {
	client.Session
	CA string `json:"ca,omitempty"` // PEM
}

func (a *app) credentialsFile() (string, error) {
	if file := a.Env("GXBUS_CREDENTIALS"); file != "" {
		return file, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "gxbus", "credentials.json"), nil
}

// loadCredentials reads the file; none is no sessions. One that others can read
// is refused: its sessions may be in other hands.
func (a *app) loadCredentials() (credentials, error) {
	none := credentials{Servers: map[string]login{}}
	file, err := a.credentialsFile()
	if err != nil {
		return none, nil // without a home there are no sessions
	}
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return none, bus.E(bus.CodeForbidden, bus.Defect{
			Field:   file,
			Problem: bus.Text{ZH: "登录凭证文件对他人可读（" + mode.String() + "）", EN: "others can read the credentials file (" + mode.String() + ")"},
			Allowed: "chmod 600",
		})
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return none, err
	}
	saved := none
	if err := json.Unmarshal(text, &saved); err != nil || saved.Servers == nil {
		return none, bus.E(bus.CodeMalformedJSON, bus.Defect{
			Field: file, Problem: bus.Text{ZH: "登录凭证文件已损坏，请删除后重新登录", EN: "the credentials file is damaged; remove it and log in again"},
		}).Because(err)
	}
	return saved, nil
}

// saveCredentials replaces the file in one step, so that a crash leaves the old
// one or the new one.
func (a *app) saveCredentials(saved credentials) error {
	file, err := a.credentialsFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(saved, "", "  ")
	if err != nil {
		return err
	}
	return copyToFile(file, bytes.NewReader(append(text, '\n')))
}
