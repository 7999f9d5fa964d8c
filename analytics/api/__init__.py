"""What programs read and write: the same rules as the pages, spoken as JSON and FHIR."""
