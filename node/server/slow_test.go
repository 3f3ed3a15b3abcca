package server_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
)

// A slow client is cut off as soon as it takes longer than the node is patient, in
// the head, in the body and in reading, while others are answered.
func TestS08SlowClientsAreCutOffAndOthersUnharmed(t *testing.T) {
	c := nodetest.StartWith(t, nodetest.Options{Wait: 500 * time.Millisecond}, fleet.Province()[0])
	bearer := c.SignIn(c.First, "sysadmin")
	const host = "Host: node\r\n"
	authorized := host + "Authorization: Bearer " + bearer + "\r\n"
	var attacks sync.WaitGroup
	for name, start := range map[string]string{
		"head": "GET /api/v1/version HTTP/1.1\r\n" + host + "X-Slow: ",
		"body": "POST /api/v1/tokens HTTP/1.1\r\n" + authorized + "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{\"node\":\"",
		"read": strings.Repeat("GET /openapi.json HTTP/1.1\r\n"+host+"\r\n", 100), // and none of the answers is read
	} {
		conn, err := tls.Dial("tcp", c.First.Config.APIListen, c.First.TLS())
		check(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.Write([]byte(start))
		check(t, err)
		attacks.Go(func() {
			if err := untilCut(conn); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for range 20 {
		_, err := c.First.Client(bearer).Status(t.Context(), false)
		check(t, err)
	}
	attacks.Wait()
}

// untilCut sends a byte now and then until the other side is gone.
func untilCut(conn *tls.Conn) error {
	const atMost = time.Minute
	drip := time.NewTicker(50 * time.Millisecond)
	defer drip.Stop()
	for late := time.After(atMost); ; {
		select {
		case <-drip.C:
			if _, err := conn.Write([]byte("x")); err != nil {
				return nil // that is what is waited for
			}
		case <-late:
			return fmt.Errorf("still connected after %v", atMost)
		}
	}
}
