// For the engineer writing this room: the lead's own draft of the reconcilers, EC2 listener, routes and views lies in /work/brief/manage-lead (not in the
// repository); take from it what helps. ConnectAPI.closing and `.manage` access to listImages exist for ended contracts and for images before the first contract.
