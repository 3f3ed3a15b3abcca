package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Applications are the requests for data (共享申请, decree 809 art. 20).
type Applications struct {
	Readable[bus.ApplicationID, bus.Application]
}

// Applications returns the applications.
func (c *Client) Applications() Applications {
	return Applications{Readable[bus.ApplicationID, bus.Application]{c, "applications"}}
}

// ApplicationFilter says which applications are listed: what is empty does not
// limit.
type ApplicationFilter struct {
	State      bus.ApplicationState
	Resource   bus.ResourceID
	Department bus.USCC // that applies
}

// List returns the applications that the caller may see, in the order of their ids.
func (a Applications) List(ctx context.Context, f ApplicationFilter) ([]bus.Application, error) {
	const pageSize = 1000
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for name, value := range map[string]string{"state": string(f.State), "resource": string(f.Resource), "department": string(f.Department)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var all []bus.Application
	for {
		page, err := do[ApplicationPage](ctx, a.c, call{method: http.MethodGet, path: []string{"applications"}, query: query})
		if err != nil {
			return all, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		query.Set("after", string(page.Next))
	}
}

// Put creates an application, where Revision is 0, or changes the one that still
// has that Revision. Its Content is what is put.
func (a Applications) Put(ctx context.Context, v bus.Application) (bus.Application, error) {
	return put[bus.Application](ctx, a.c, call{path: a.at(v.ID)}, v.Revision, v.Content)
}

// Delete throws away a draft that was never submitted.
func (a Applications) Delete(ctx context.Context, id bus.ApplicationID, revision bus.Revision) error {
	_, err := do[nothing](ctx, a.c, call{method: http.MethodDelete, path: a.at(id), header: expecting(revision)})
	return err
}

// Submit files an application as it is at its Revision; one that is not complete is
// refused with bus.CodeIncomplete and all that it lacks. What is shared
// unconditionally comes back approved.
func (a Applications) Submit(ctx context.Context, v bus.Application) (bus.Application, error) {
	return a.step(ctx, v, "submit", Empty{})
}

// Answer approves, refuses or returns an application.
func (a Applications) Answer(ctx context.Context, v bus.Application, answer ApplicationAnswer) (bus.Application, error) {
	return a.step(ctx, v, "answer", answer)
}

// Withdraw takes an application back before it is answered.
func (a Applications) Withdraw(ctx context.Context, v bus.Application, reason string) (bus.Application, error) {
	return a.step(ctx, v, "withdraw", ApplicationWithdrawal{reason})
}

// Extend asks for more time to answer, once and before the answer is due.
func (a Applications) Extend(ctx context.Context, v bus.Application, r ExtensionRequest) (bus.Application, error) {
	return a.step(ctx, v, "extension", r)
}

// Consent answers a request for more time, as the data authority.
func (a Applications) Consent(ctx context.Context, v bus.Application, c Consent) (bus.Application, error) {
	return a.step(ctx, v, "consent", c)
}

func (a Applications) step(ctx context.Context, v bus.Application, verb string, body any) (bus.Application, error) {
	return post[bus.Application](ctx, a.c, call{path: a.at(v.ID, verb), header: expecting(v.Revision)}, body)
}
