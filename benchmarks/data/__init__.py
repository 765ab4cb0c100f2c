"""The bundled demo data; origin and licences in the ATTRIBUTION files beside."""
