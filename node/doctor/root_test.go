package doctor_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/doctor"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/identity"
)

// A root is replaced before it shortens what it signs; the newest is the one that counts.
func TestTheRootCertificateIsJudgedByItsEnd(t *testing.T) {
	now := time.Date(2036, 3, 4, 0, 0, 0, 0, time.UTC)
	root := func(years int) *x509.Certificate {
		ca, err := identity.NewCA("test", now.AddDate(-years, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		return ca.Certificate()
	}
	for _, tt := range []struct {
		ages []int
		want client.CheckState
	}{
		{[]int{1}, client.CheckOK}, {[]int{8}, client.CheckOK}, {[]int{9, 1}, client.CheckOK}, {[]int{1, 9}, client.CheckOK},
		{[]int{9}, client.CheckWarn}, {[]int{11, 9}, client.CheckWarn}, {[]int{10}, client.CheckFail}, {[]int{12, 11}, client.CheckFail},
	} {
		var roots []*x509.Certificate
		for _, age := range tt.ages {
			roots = append(roots, root(age))
		}
		if c := doctor.Root(roots, now); c.State != tt.want || (c.Next.ZH == "") != (c.State == client.CheckOK) {
			t.Errorf("made %v years ago: %+v, want %s", tt.ages, c, tt.want)
		}
	}
}
