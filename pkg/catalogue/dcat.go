package catalogue

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// DCAT is the format of [NewDCATWriter]; nothing is read from it.
const DCAT Format = "dcat"

// Public says what a DCAT catalogue is called.
type Public struct {
	Base        string              // URL that ids are made below, as https://data.example/
	Title       string              // of the catalogue
	Departments map[bus.USCC]string // names of publishers
}

// NewDCATWriter writes the open resources among those that it is given as a
// catalogue in JSON-LD, in the manner of DCAT-AP: data about data for the
// public. It passes over what is not open, and over items that are not; what is not
// published it refuses.
func NewDCATWriter(w io.Writer, p Public) Writer {
	p.Base = strings.TrimSuffix(p.Base, "/") + "/"
	return &dcatWriter{out: bufio.NewWriterSize(w, 64<<10), Public: p}
}

type dcatWriter struct {
	Public
	out   *bufio.Writer
	begun bool
	count int
}

// The terms used, spelt out: a reader needs to fetch nothing.
const dcatContext = `{
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#"
  }`

const authority = "http://publications.europa.eu/resource/authority/"

var frequencies = map[string]string{
	"realtime": "CONT", "daily": "DAILY", "weekly": "WEEKLY", "monthly": "MONTHLY",
	"quarterly": "QUARTERLY", "half-yearly": "ANNUAL_2", "yearly": "ANNUAL", "irregular": "IRREG",
}

// fileTypes are the subtypes that the authority table of file types knows.
var fileTypes = []string{"CSV", "DOCX", "HTML", "JSON", "JSON_LD", "ODS", "PDF", "RDF", "TXT", "XLS", "XLSX", "XML", "ZIP"}

// Terms of JSON-LD.
type (
	link struct {
		ID string `json:"@id"`
	}
	chinese struct {
		Language string `json:"@language"`
		Value    string `json:"@value"`
	}
	typed struct {
		Type  string `json:"@type"`
		Value string `json:"@value"`
	}
	rights struct {
		Type  string  `json:"@type"`
		Label chinese `json:"rdfs:label"`
	}
	organisation struct {
		ID         string  `json:"@id"`
		Type       string  `json:"@type"`
		Identifier string  `json:"dct:identifier"`
		Name       chinese `json:"foaf:name,omitzero"`
	}
	distribution struct {
		ID        string  `json:"@id"`
		Type      string  `json:"@type"`
		Title     chinese `json:"dct:title"`
		AccessURL link    `json:"dcat:accessURL"`
		Format    *link   `json:"dct:format,omitempty"`
		Rights    *rights `json:"dct:rights,omitempty"`
	}
	dataset struct {
		ID           string         `json:"@id"`
		Type         string         `json:"@type"`
		Identifier   []string       `json:"dct:identifier"`
		Title        chinese        `json:"dct:title"`
		Description  chinese        `json:"dct:description"`
		Publisher    organisation   `json:"dct:publisher"`
		Frequency    *link          `json:"dct:accrualPeriodicity,omitempty"`
		Access       link           `json:"dct:accessRights"`
		Language     link           `json:"dct:language"`
		Issued       *typed         `json:"dct:issued,omitempty"`
		Version      string         `json:"dcat:version,omitempty"`
		Keywords     []chinese      `json:"dcat:keyword,omitempty"`
		Distribution []distribution `json:"dcat:distribution"`
	}
)

func inChinese(text string) chinese { return chinese{"zh", text} }

func (w *dcatWriter) Write(d bus.Draft) (bool, error) {
	if d.Resource.Version == 0 { // a draft: only the reviewed is for others (decree 809 art. 16)
		return false, unusable("version", bus.Text{ZH: string(d.Resource.ID) + " 尚未发布，不得作为开放数据", EN: string(d.Resource.ID) + " is not published, so not open data"}, "1 …")
	}
	if r := d.Resource; r.Open == "yes" || r.Open == "conditional" {
		w.begin()
		text, err := json.MarshalIndent(w.dataset(r), "    ", "  ")
		if err != nil {
			return false, err
		}
		if w.count++; w.count > 1 {
			_, _ = w.out.WriteString(",")
		}
		_, _ = w.out.WriteString("\n    ")
		_, err = w.out.Write(text)
		return true, err
	}
	return true, nil
}

// begin writes what comes before the datasets. What fails is told by the next
// write or Close: a bufio.Writer remembers.
func (w *dcatWriter) begin() {
	if w.begun {
		return
	}
	w.begun = true
	head, _ := json.Marshal(inChinese(w.Title))      // a struct of strings always marshals
	id, _ := json.Marshal(w.Base + "catalogue/open") // so does a string
	_, _ = w.out.WriteString("{\n  \"@context\": " + dcatContext + ",\n  \"@id\": " + string(id) +
		",\n  \"@type\": \"dcat:Catalog\",\n  \"dct:title\": " + string(head) + ",\n  \"dcat:dataset\": [")
}

func (w *dcatWriter) Close() error {
	w.begin()
	_, _ = w.out.WriteString("\n  ]\n}\n")
	return w.out.Flush()
}

func (w *dcatWriter) dataset(r bus.Resource) dataset {
	id := w.Base + "resources/" + string(r.ID)
	d := dataset{
		ID: id, Type: "dcat:Dataset", Title: inChinese(r.Name), Description: inChinese(r.Abstract),
		Publisher: organisation{ID: w.Base + "departments/" + string(r.Provider), Type: "foaf:Organization", Identifier: string(r.Provider)},
		Access:    link{authority + "access-right/PUBLIC"}, Language: link{authority + "language/ZHO"},
	}
	if name := w.Departments[r.Provider]; name != "" {
		d.Publisher.Name = inChinese(name)
	}
	for _, code := range r.Codes {
		d.Identifier = append(d.Identifier, string(code))
	}
	var terms *rights
	if r.Open == "conditional" {
		d.Access = link{authority + "access-right/RESTRICTED"}
		if r.OpenTerms != "" {
			terms = &rights{"dct:RightsStatement", inChinese(r.OpenTerms)}
		}
	}
	if frequency, ok := frequencies[r.UpdateCycle]; ok {
		d.Frequency = &link{authority + "frequency/" + frequency}
	}
	if !r.Published.IsZero() {
		d.Issued = &typed{"xsd:dateTime", r.Published.In(beijing).Format(time.RFC3339)}
	}
	if r.Version > 0 {
		d.Version = strconv.Itoa(r.Version)
	}
	for _, item := range r.Items {
		if item.Open {
			d.Keywords = append(d.Keywords, inChinese(item.Name))
		}
	}
	for _, mode := range r.Modes {
		d.Distribution = append(d.Distribution, distribution{
			ID: id + "#" + mode, Type: "dcat:Distribution", Title: inChinese(modeWords.name(mode)), AccessURL: link{id}, Format: fileType(r.Subtype), Rights: terms,
		})
	}
	return d
}

func fileType(subtype string) *link {
	for _, known := range fileTypes {
		if strings.EqualFold(known, subtype) {
			return &link{authority + "file-type/" + known}
		}
	}
	return nil
}
