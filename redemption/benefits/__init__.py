"""Benefits: what a member can be given, from its template to its use, return or end."""
