package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Backup streams a backup of the node, sealed to the public part of a recovery key
// or, where that is empty, to the configured one; system administrators only. size
// is about how many bytes the node reads for it. A backup that breaks off ends in
// an error other than io.EOF. The caller closes it.
func (c *Client) Backup(ctx context.Context, recoveryKey string) (backup io.ReadCloser, size int64, err error) {
	request, err := call{method: http.MethodPost, path: []string{"backup"}, stream: true}.withJSON(BackupRequest{RecoveryKey: recoveryKey})
	if err != nil {
		return nil, 0, err
	}
	resp, err := c.send(ctx, request)
	if err != nil {
		return nil, 0, err
	}
	size, _ = strconv.ParseInt(resp.Header.Get(HeaderSize), 10, 64) // 0 where it is not told
	return resp.Body, size, nil
}

// Doctor has the node examine itself; with full, its evidence is recomputed leaf by
// leaf. System administrators and auditors only.
func (c *Client) Doctor(ctx context.Context, full bool) ([]Check, error) {
	request := call{method: http.MethodGet, path: []string{"doctor"}, stream: full}
	if full {
		request.query = url.Values{"full": {"true"}}
	}
	list, err := do[items[Check]](ctx, c, request)
	return list.Items, err
}
