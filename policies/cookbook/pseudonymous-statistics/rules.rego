# Who counts needs no names: a statistics department gets, for reference, codes in
# place of identities, years in place of birth dates and counties in place of
# addresses. The codes join under one grant and under no other.
package gxbus.division.d440000

counting := {"1144010699990002XN"}

statistical if {
	input.action in {"forward", "deliver", "query"}
	input.purpose == "reference"
	input.consumer.department in counting
	input.consumer.department != input.provider.department
}

coarse := {
	"id-number": {"method": "pseudonym"},
	"name": {"method": "null"},
	"phone": {"method": "null"},
	"bank-card": {"method": "null"},
	"address": {"method": "county"},
}

masks[item.id] := coarse[item.semantic] if {
	statistical
	some item in input.resource.items
}

masks[item.id] := {"method": "year"} if {
	statistical
	some item in input.resource.items
	item.type in {"D", "T"}
	not item.semantic
	item.personal
}
