# A sample layer of Guangzhou: its departments do without the registered
# address of an enterprise. As `items` can only narrow, it lists what stays.
package gxbus.division.d440100

items contains item.id if {
	some item in input.resource.items
	not withheld(item)
}

withheld(item) if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	"440100" in input.consumer.divisions
	item.id == "registered_address"
	item.semantic == "address"
}
